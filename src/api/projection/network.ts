import type { Network } from "../../model/network.ts";

/** A network inside a task's attachment. */
export function networkJson(network: Network): Record<string, unknown> {
  const { Driver, ...spec } = network.Spec;
  return {
    ID: network.ID,
    Version: network.Version,
    CreatedAt: network.CreatedAt,
    UpdatedAt: network.UpdatedAt,
    Spec: { ...spec, Labels: spec.Labels ?? {}, DriverConfiguration: Driver ?? {} },
    DriverState: network.DriverState ?? Driver ?? {},
  };
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
    Options: network.Spec.Driver?.Options ?? {},
    Labels: network.Spec.Labels ?? {},
  };
}
