import { refusal } from "./admission.ts";
import { registerManagerRoutes } from "./manager_routes.ts";
import type { FleetNodeOptions } from "./node_options.ts";
import type { NodeListener } from "./ports.ts";
import type { Running } from "./running.ts";

/** The port on which other nodes reach this manager. @throws FleetError conflict when it is taken */
export function listenForNodes(
  options: FleetNodeOptions,
  running: Running,
): Promise<NodeListener> {
  const { network, trust, clock, logger } = options;
  return network.listen({
    address: running.identity.listenAddr,
    credentials: running.credentials,
    clusterId: running.identity.clusterId,
    register: (table) => {
      registerManagerRoutes(table, { manager: () => running.manager, trust, clock, logger });
      options.registerTransport(table);
    },
    refuse: (peer) => refusal(running, peer),
  });
}
