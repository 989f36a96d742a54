import { FleetError } from "../../src/base/errors.ts";
import { isIP, isIPv4 } from "../../src/base/addresses.ts";
import { compact } from "./parts.ts";
import { parsePair, toRecord } from "./pairs.ts";

/** The flags of `network create`. */
export interface NetworkFlags {
  readonly driver?: string;
  readonly opt?: readonly string[];
  readonly label?: readonly string[];
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly ingress?: boolean;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly scope?: string;
  readonly configOnly?: boolean;
  readonly configFrom?: string;
  readonly ipamDriver?: string;
  readonly ipamOpt?: readonly string[];
  readonly subnet?: readonly string[];
  readonly ipRange?: readonly string[];
  readonly gateway?: readonly string[];
  readonly auxAddress?: readonly string[];
}

interface IpamConfig {
  Subnet?: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

/** The body of POST /networks/create. @throws FleetError invalid */
export function networkRequest(name: string, flags: NetworkFlags): Record<string, unknown> {
  return compact({
    Name: name,
    Driver: flags.driver ?? (flags.configOnly ? undefined : "overlay"),
    Scope: flags.scope,
    EnableIPv4: flags.ipv4,
    EnableIPv6: flags.ipv6,
    Internal: flags.internal ?? false,
    Attachable: flags.attachable ?? false,
    Ingress: flags.ingress ?? false,
    ConfigOnly: flags.configOnly ?? false,
    ConfigFrom: flags.configFrom === undefined ? undefined : { Network: flags.configFrom },
    IPAM: {
      Driver: flags.ipamDriver ?? "default",
      Options: toRecord(flags.ipamOpt),
      Config: ipamConfig(flags),
    },
    Options: toRecord(flags.opt),
    Labels: toRecord(flags.label),
  });
}

/** Puts ranges, gateways and reserved addresses to the subnets that hold them. */
function ipamConfig(flags: NetworkFlags): IpamConfig[] {
  const configs = (flags.subnet ?? []).map((subnet) => {
    cidr("--subnet", subnet);
    return { Subnet: subnet } as IpamConfig;
  });
  const find = (flag: string, address: string): IpamConfig => {
    const found = configs.find((config) => contains(config.Subnet ?? "", address));
    if (!found) {
      throw new FleetError("invalid", `${flag} ${address} is in none of the given subnets`);
    }
    return found;
  };
  for (const range of flags.ipRange ?? []) {
    cidr("--ip-range", range);
    find("--ip-range", range.split("/")[0] ?? "").IPRange = range;
  }
  for (const gateway of flags.gateway ?? []) find("--gateway", gateway).Gateway = gateway;
  for (const pair of flags.auxAddress ?? []) {
    const [key, address] = parsePair(pair);
    (find("--aux-address", address).AuxiliaryAddresses ??= {})[key] = address;
  }
  return configs;
}

function cidr(flag: string, text: string): void {
  const [address = "", bits = "", ...more] = text.split("/");
  const most = isIPv4(address) ? 32 : 128;
  if (more.length > 0 || !isIP(address) || !/^\d+$/.test(bits) || Number(bits) > most) {
    throw new FleetError("invalid", `${flag} "${text}" is no subnet: write it like 10.9.0.0/24`);
  }
}

/** Whether `address` is inside `subnet`; version 6 subnets are left to the agent to judge. */
function contains(subnet: string, address: string): boolean {
  const [network = "", bits = "0"] = subnet.split("/");
  if (!isIPv4(network)) return !isIPv4(address) && isIP(address);
  if (!isIPv4(address)) return false;
  const shift = 2 ** (32 - Number(bits));
  return Math.floor(number(network) / shift) === Math.floor(number(address) / shift);
}

function number(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}
