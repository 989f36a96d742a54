import { withoutLength } from "../../model/network.ts";
import type { IPAMOptions, Network } from "../../model/network.ts";
import { ingressPorts } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { taskName } from "../../model/task.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { View } from "../../model/view.ts";
import { withoutEmpty } from "./task_spec.ts";

type Json = Record<string, unknown>;

/** A network inside a task's attachment. */
export function networkJson(network: Network): Record<string, unknown> {
  const { Driver, IPAMOptions, ...spec } = network.Spec;
  return {
    ID: network.ID,
    Version: network.Version,
    CreatedAt: network.CreatedAt,
    UpdatedAt: network.UpdatedAt,
    Spec: {
      ...spec,
      Labels: spec.Labels ?? {},
      // Nobody asked for a driver of the mesh's network.
      DriverConfiguration: spec.Ingress ? {} : withoutEmpty(Driver ?? {}),
      ...(IPAMOptions ? { IPAMOptions: ipamJson(IPAMOptions, spec.Ingress ? {} : undefined) } : {}),
    },
    DriverState: network.DriverState ?? Driver ?? {},
    ...(network.IPAMOptions ? { IPAMOptions: ipamJson(network.IPAMOptions) } : {}),
  };
}

/** Inside a task Docker's words differ from those of the network's own routes: `Range`, `Configs`. */
function ipamJson({ Driver, Options, Config }: IPAMOptions, driver?: object): Json {
  return withoutEmpty({
    Driver: driver ?? withoutEmpty({ Name: Driver || "default", Options: Options ?? {} }),
    Configs: (Config ?? []).map(({ Subnet, IPRange, Gateway }) =>
      withoutEmpty({ Subnet, Range: IPRange, Gateway })
    ),
  }, new Set(["Driver"]));
}

/** A network as `GET /networks/{id}` shows it. */
export function networkResource(network: Network): Record<string, unknown> {
  return {
    Name: network.Spec.Name ?? "",
    Id: network.ID,
    Created: network.CreatedAt,
    Scope: "swarm",
    Driver: network.Spec.Driver?.Name ?? "overlay",
    EnableIPv6: network.Spec.IPv6Enabled ?? false,
    IPAM: { Driver: "default", Options: null, Config: network.IPAMOptions?.Config ?? [] },
    Internal: network.Spec.Internal ?? false,
    Attachable: network.Spec.Attachable ?? false,
    Ingress: network.Spec.Ingress ?? false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: {},
    Options: network.DriverState?.Options ?? network.Spec.Driver?.Options ?? {},
    Labels: network.Spec.Labels ?? {},
  };
}

/** With the nodes that have a part of it; `verbose` adds the services and tasks on it. */
export function networkDetails(
  view: View,
  network: Network,
  verbose: boolean,
): Record<string, unknown> {
  const Peers = Object.keys(network.Gateways ?? {}).sort().flatMap((id) => {
    const node = view.get("node", id);
    const IP = node?.Description?.Overlay?.Addr ?? node?.Status.Addr;
    return IP ? [{ Name: node?.Description?.Hostname ?? id, IP }] : [];
  });
  return {
    ...networkResource(network),
    ...(Peers.length > 0 ? { Peers } : {}),
    ...(verbose ? { Services: servicesOn(view, network) } : {}),
  };
}

function servicesOn(view: View, { ID, Spec }: Network): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const service of view.all("service")) {
    const named = service.Spec.TaskTemplate?.Networks?.some(({ Target }) => Target === ID);
    const meshed = Spec.Ingress && ingressPorts(service.Spec).length > 0;
    if (!named && !meshed) continue;
    const vip = service.Endpoint?.VirtualIPs?.find(({ NetworkID }) => NetworkID === ID)?.Addr;
    const Tasks = [...view.tasksOfService(service.ID)].flatMap((task) => {
      const address = task.NetworksAttachments?.find(({ NetworkID }) => NetworkID === ID)
        ?.Addresses?.[0];
      if (!address || isTerminal(task.Status.State)) return [];
      const host = view.get("node", task.NodeID ?? "")?.Status.Addr ?? "";
      return [{
        Name: taskName(task),
        EndpointID: task.ID,
        EndpointIP: withoutLength(address),
        Info: { "Host IP": host },
      }];
    });
    found[service.Spec.Name ?? service.ID] = {
      VIP: withoutLength(vip ?? ""),
      Ports: meshed ? portsOf(service) : [],
      LocalLBIndex: 0,
      Tasks,
    };
  }
  return found;
}

/** Ports in the words of Docker's network inspect. */
function portsOf({ Endpoint }: Service): string[] {
  return (Endpoint?.Ports ?? []).filter(({ PublishMode }) =>
    (PublishMode ?? "ingress") === "ingress"
  )
    .map(({ TargetPort, PublishedPort }) => `Target: ${TargetPort}, Publish: ${PublishedPort}`);
}
