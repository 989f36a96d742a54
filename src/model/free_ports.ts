import { endpointOf } from "./service.ts";
import type { Endpoint, Service } from "./service.ts";
import type { PortConfig, ServiceSpec } from "./service_spec.ts";
import type { View } from "./view.ts";

/** Ports that are given out when a service names none, as Swarm's. */
export const FREE_PORTS = { first: 30_000, last: 32_767 } as const;

/**
 * The service's endpoint with a port for each that was published without a number; it keeps the one that
 * it had. When none is left the port stays without a number.
 */
export function withFreePorts(view: View, spec: ServiceSpec, before?: Service): Endpoint {
  const endpoint = endpointOf(spec);
  const taken = new Set<string>();
  for (const service of view.all("service")) {
    if (service.ID === before?.ID) continue;
    for (const port of service.Endpoint?.Ports ?? []) taken.add(portKey(port));
  }
  for (const port of endpoint.Ports ?? []) taken.add(portKey(port));
  const Ports = (endpoint.Ports ?? []).map((port) => {
    if (port.PublishedPort || port.PublishMode === "host") return port;
    const had = before?.Endpoint?.Ports?.find((other) => isSame(other, port))?.PublishedPort;
    const chosen = had && !taken.has(portKey({ ...port, PublishedPort: had }))
      ? had
      : freePort(taken, port);
    if (chosen === undefined) return port;
    taken.add(portKey({ ...port, PublishedPort: chosen }));
    return { ...port, PublishedPort: chosen };
  });
  return { ...endpoint, Ports };
}

/** What no two services have: `8080/tcp`. */
export function portKey({ PublishedPort, Protocol }: PortConfig): string {
  return `${PublishedPort}/${Protocol ?? "tcp"}`;
}

function freePort(taken: ReadonlySet<string>, port: PortConfig): number | undefined {
  for (let candidate: number = FREE_PORTS.first; candidate <= FREE_PORTS.last; candidate++) {
    if (!taken.has(portKey({ ...port, PublishedPort: candidate }))) return candidate;
  }
  return undefined;
}

function isSame(a: PortConfig, b: PortConfig): boolean {
  return a.TargetPort === b.TargetPort && (a.Protocol ?? "tcp") === (b.Protocol ?? "tcp") &&
    (a.PublishMode ?? "ingress") === (b.PublishMode ?? "ingress");
}
