import type { Task } from "../../model/task.ts";
import { withoutLength } from "../../model/network.ts";

/** How a task's container is put on networks. */
export interface ContainerNetworks {
  /** The engine's network mode: its default when absent. */
  readonly mode?: string;
  /** Networks to be on, the first one from the start. */
  readonly endpoints: readonly ContainerEndpoint[];
  /** Where the engine's resolver asks for names that it does not know. */
  readonly dns: readonly string[];
}

export interface ContainerEndpoint {
  /** Name of the engine's network. */
  readonly network: string;
  /** Absent on networks whose addresses the engine gives out itself. */
  readonly address?: string;
  readonly mac?: string;
  readonly driverOptions?: Readonly<Record<string, string>>;
}

/** The node's networks as the executor needs them; `src/roles/agent/network_sync.ts` implements it. */
export interface OverlayNetworks {
  /**
   * Waits until a network can be used here; the address where its names are answered.
   * @throws Error saying why it cannot be used, or that the service cannot have its port here
   */
  ready(networkId: string, name: string, signal: AbortSignal, serviceId?: string): Promise<string>;
}

const ENGINE_NETWORKS: ReadonlySet<string> = new Set(["host", "bridge", "none"]);

/** A task's places on networks, once all of them can be used. @throws Error, FleetError */
export async function containerNetworks(
  task: Task,
  overlays: OverlayNetworks | undefined,
  signal: AbortSignal,
): Promise<ContainerNetworks> {
  const endpoints: ContainerEndpoint[] = [];
  const dns: string[] = [];
  for (const attachment of task.NetworksAttachments ?? []) {
    const { NetworkID, Name = NetworkID, Addresses, MAC, DriverOpts } = attachment;
    const options = DriverOpts ? { driverOptions: DriverOpts } : {};
    const address = withoutLength(Addresses?.[0] ?? "");
    if (address === "") {
      if (ENGINE_NETWORKS.has(Name)) endpoints.push({ network: Name, ...options });
      continue;
    }
    if (!overlays) throw new Error(`network ${Name}: this node has no overlay networks`);
    dns.push(await overlays.ready(NetworkID, Name, signal, task.ServiceID));
    endpoints.push({ network: Name, address, ...(MAC ? { mac: MAC } : {}), ...options });
  }
  const [first] = endpoints;
  if (!first) return { endpoints: [], dns: [] };
  return { mode: first.network, endpoints, dns };
}

/** An endpoint's settings in the engine's words. */
export function endpointSettings(
  { address, mac, driverOptions }: ContainerEndpoint,
): Record<string, unknown> {
  return {
    ...(address === undefined ? {} : { IPAMConfig: { IPv4Address: address } }),
    ...(mac === undefined ? {} : { MacAddress: mac }),
    ...(driverOptions === undefined ? {} : { DriverOpts: driverOptions }),
  };
}
