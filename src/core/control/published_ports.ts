import { FleetError } from "../../base/errors.ts";
import { endpointOf, ingressPorts } from "../../model/service.ts";
import type { Endpoint, Service } from "../../model/service.ts";
import type { PortConfig, ServiceSpec } from "../../model/service_spec.ts";
import type { View } from "../../model/view.ts";

/** Ports that are given out when a service names none, as Swarm's. */
const FIRST_PORT = 30_000;
const LAST_PORT = 32_767;

/**
 * The service's endpoint with a port for each that was published without a number; it keeps the one that
 * it had.
 * @throws FleetError invalid for ports of the cluster itself, unavailable when none is left
 */
export function endpointWithPorts(view: View, spec: ServiceSpec, before?: Service): Endpoint {
  const endpoint = endpointOf(spec);
  refuseOwnPorts(view, spec);
  const taken = new Set<string>();
  for (const service of view.all("service")) {
    if (service.ID === before?.ID) continue;
    for (const port of service.Endpoint?.Ports ?? []) taken.add(keyOf(port));
  }
  for (const port of endpoint.Ports ?? []) taken.add(keyOf(port));
  const Ports = (endpoint.Ports ?? []).map((port) => {
    if (port.PublishedPort || port.PublishMode === "host") return port;
    const had = before?.Endpoint?.Ports?.find((other) => isSame(other, port))?.PublishedPort;
    const chosen = had && !taken.has(keyOf({ ...port, PublishedPort: had }))
      ? had
      : freePort(taken, port);
    taken.add(keyOf({ ...port, PublishedPort: chosen }));
    return { ...port, PublishedPort: chosen };
  });
  return { ...endpoint, Ports };
}

function freePort(taken: ReadonlySet<string>, port: PortConfig): number {
  for (let candidate = FIRST_PORT; candidate <= LAST_PORT; candidate++) {
    if (!taken.has(keyOf({ ...port, PublishedPort: candidate }))) return candidate;
  }
  throw new FleetError(
    "unavailable",
    `no port from ${FIRST_PORT} to ${LAST_PORT} is free for target port ${port.TargetPort}; name one with published=`,
  );
}

/** The mesh would take them away from the managers. */
function refuseOwnPorts(view: View, spec: ServiceSpec): void {
  const own = new Set<number>();
  for (const { ManagerAddr } of view.all("node")) {
    const port = Number(ManagerAddr?.split(":").at(-1));
    if (port) own.add(port);
  }
  for (const { PublishedPort, Protocol } of ingressPorts(spec)) {
    if (!PublishedPort || (Protocol ?? "tcp") !== "tcp" || !own.has(PublishedPort)) continue;
    throw new FleetError(
      "invalid",
      `port '${PublishedPort}' is the managers' own; publish another one`,
    );
  }
}

function keyOf({ PublishedPort, Protocol }: PortConfig): string {
  return `${PublishedPort}/${Protocol ?? "tcp"}`;
}

function isSame(a: PortConfig, b: PortConfig): boolean {
  return a.TargetPort === b.TargetPort && (a.Protocol ?? "tcp") === (b.Protocol ?? "tcp") &&
    (a.PublishMode ?? "ingress") === (b.PublishMode ?? "ingress");
}
