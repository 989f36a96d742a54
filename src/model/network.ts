import { ipv4ToInt } from "../base/cidr.ts";
import { bool, int, labels, list, map, obj, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { annotationFields, Driver, metaFields } from "./meta.ts";

export const IPAMConfig = obj({
  Subnet: opt(str),
  IPRange: opt(str),
  Gateway: opt(str),
  AuxiliaryAddresses: opt(labels),
});
export type IPAMConfig = Infer<typeof IPAMConfig>;

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
  /** As allocated: always one subnet with its gateway. */
  IPAMOptions: opt(IPAMOptions),
  /** Internal: the VXLAN network identifier. */
  VNI: opt(int),
  PendingDelete: opt(bool),
  /** Internal: the address that each node with tasks here has on its own bridge, by node id. */
  Gateways: opt(map(str)),
});
export type Network = Infer<typeof Network>;

/** Options of `network create --opt` that overlay networks know. */
export const OPTION = {
  mtu: "com.docker.network.driver.mtu",
  vni: "com.docker.network.driver.overlay.vxlanid_list",
  encrypted: "encrypted",
} as const;

/** Whether the network's addresses are given out by the managers. */
export function isOverlay({ Spec }: Network): boolean {
  return (Spec.Driver?.Name || "overlay") === "overlay";
}

/** Label of engine networks that are fleet's; its value is the cluster's id of the network. */
export const NETWORK_LABEL = "io.fleet.network";

/** The label of a container that was created on overlay networks is this and its attachment's id. */
export const ATTACHMENT_LABEL = "io.fleet.attachment.";

/** Ids of the attachments that a container with these labels was created with. */
export function attachmentIds(labels: Readonly<Record<string, string>> | null = {}): string[] {
  return Object.keys(labels ?? {}).filter((label) => label.startsWith(ATTACHMENT_LABEL))
    .map((label) => label.slice(ATTACHMENT_LABEL.length));
}

/** Whether what goes between nodes is encrypted; as in Docker the option counts without a value, too. */
export function isEncrypted({ Spec }: Pick<Network, "Spec">): boolean {
  const given = Spec.Driver?.Options?.[OPTION.encrypted];
  return given !== undefined && given !== "false" && given !== "0";
}

/**
 * The UDP port of encrypted networks' frames: the one after the data path's. By their own port a policy
 * can tell them from what goes in clear.
 */
export const encryptedPort = (dataPathPort: number): number =>
  dataPathPort < 65_535 ? dataPathPort + 1 : dataPathPort - 1;

/** Subnet of an overlay network, as `a.b.c.d/n`; empty before it was allocated. */
export function subnetOf(network: Network): string {
  return network.IPAMOptions?.Config?.[0]?.Subnet ?? "";
}

/** The address without the length of its subnet. */
export function withoutLength(cidr: string): string {
  return cidr.split("/", 1)[0] ?? "";
}

/**
 * The hardware address of whatever has `address` on an overlay network: `02:42` and the four bytes, as
 * the engine itself chooses it. So nobody has to be told it.
 */
export function macOf(address: string): string {
  const value = ipv4ToInt(address) ?? 0;
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
  return ["02", "42", ...bytes.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}
