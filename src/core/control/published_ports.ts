import { FleetError } from "../../base/errors.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { encryptedPort } from "../../model/network.ts";
import { FREE_PORTS, portKey, withFreePorts } from "../../model/free_ports.ts";
import { ingressPorts } from "../../model/service.ts";
import type { Endpoint, Service } from "../../model/service.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";

/**
 * The service's endpoint with a port for each that was published without a number; it keeps the one that
 * it had.
 * @throws FleetError invalid for ports of the cluster itself, unavailable when none is left
 */
export function endpointWithPorts(view: View, spec: ServiceSpec, before?: Service): Endpoint {
  refuseOwnPorts(view, spec);
  const endpoint = withFreePorts(view, spec, before);
  for (const { TargetPort, PublishedPort, PublishMode } of endpoint.Ports ?? []) {
    if (PublishedPort || PublishMode === "host") continue;
    throw new FleetError(
      "unavailable",
      `no port from ${FREE_PORTS.first} to ${FREE_PORTS.last} is free for target port ${TargetPort}; name one with published=`,
    );
  }
  return endpoint;
}

/**
 * One published port belongs to one service, whether it was asked for or given out; only host ports may
 * repeat, since nodes differ.
 * @throws FleetError invalid, naming the owner
 */
export function checkPublishedPorts(view: View, spec: ServiceSpec, id: string): void {
  const wanted = (spec.EndpointSpec?.Ports ?? []).filter((port) => port.PublishedPort);
  if (wanted.length === 0) return;
  for (const other of view.all("service")) {
    if (other.ID === id) continue;
    // The endpoint's are the spec's, and those that were given out.
    for (const taken of other.Endpoint?.Ports ?? other.Spec.EndpointSpec?.Ports ?? []) {
      const port = wanted.find((port) => portKey(port) === portKey(taken));
      if (!port || (port.PublishMode === "host" && taken.PublishMode === "host")) continue;
      throw new FleetError(
        "invalid",
        `port '${port.PublishedPort}' is already in use by service '${other.Spec.Name}' (${other.ID}) as ${
          taken.PublishMode === "host" ? "a host-published" : "an ingress"
        } port`,
      );
    }
  }
}

/** The mesh, or a container, would take them away from the managers and from the networks between nodes. */
function refuseOwnPorts(view: View, spec: ServiceSpec): void {
  refuseDataPath(view, spec);
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

/** In host mode, too: the node's engine binds it before the kernel's VXLAN does. */
function refuseDataPath(view: View, spec: ServiceSpec): void {
  const dataPath = clusterOf(view)?.DataPathPort || CLUSTER_DEFAULTS.dataPathPort;
  for (const { PublishedPort, Protocol } of spec.EndpointSpec?.Ports ?? []) {
    if (Protocol !== "udp") continue;
    if (PublishedPort !== dataPath && PublishedPort !== encryptedPort(dataPath)) continue;
    const whose = PublishedPort === dataPath ? "the networks'" : "the encrypted networks'";
    throw new FleetError(
      "invalid",
      `port '${PublishedPort}/udp' is ${whose} between the nodes (the cluster's data path port is ${dataPath}); publish another one`,
    );
  }
}
