import { bool, int, labels, list, obj, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { annotationFields, Driver, metaFields } from "./meta.ts";

export const IPAMConfig = obj({
  Subnet: opt(str),
  IPRange: opt(str),
  Gateway: opt(str),
  AuxiliaryAddresses: opt(labels),
});

export const IPAMOptions = obj({
  Driver: opt(str),
  Options: opt(labels),
  Config: opt(list(IPAMConfig)),
});
export type IPAMOptions = Infer<typeof IPAMOptions>;

export const NetworkSpec = obj({
  ...annotationFields,
  Driver: opt(Driver),
  IPv6Enabled: opt(bool),
  Internal: opt(bool),
  Attachable: opt(bool),
  Ingress: opt(bool),
  IPAMOptions: opt(IPAMOptions),
  Scope: opt(str),
});
export type NetworkSpec = Infer<typeof NetworkSpec>;

export const Network = obj({
  ...metaFields,
  Spec: NetworkSpec,
  DriverState: opt(Driver),
  IPAMOptions: opt(IPAMOptions),
  /** Internal: the VXLAN network identifier. */
  VNI: opt(int),
  PendingDelete: opt(bool),
});
export type Network = Infer<typeof Network>;
