import type { ServiceSpec } from "../../model/service_spec.ts";
import type { FileRequest } from "./convert_files.ts";
import { convertService, dropEmpty } from "./convert_service.ts";
import { nameOf, networkName, STACK_LABEL } from "./naming.ts";
import type { NetworkEntry, StackFile } from "./stack_file.ts";

/** The body of POST /networks/create. */
export interface NetworkRequest {
  readonly Name: string;
  readonly Driver: string;
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly EnableIPv6?: boolean;
  readonly Options?: Readonly<Record<string, string>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Config?: readonly Readonly<Record<string, unknown>>[];
  };
}

/**
 * What a stack consists of in the cluster, everything by name. Lists are sorted by name, but services come
 * after those that they wait for.
 */
export interface DesiredStack {
  readonly name: string;
  /** Networks that its services use and that are its own. */
  readonly networks: readonly NetworkRequest[];
  readonly externalNetworks: readonly string[];
  readonly files: readonly FileRequest[];
  readonly services: readonly ServiceSpec[];
}

/** The objects that `file` stands for under the name `stack`. @throws FleetError invalid */
export function desiredStack(stack: string, file: StackFile): DesiredStack {
  const keys = new Set<string>();
  for (const entry of Object.values(file.services)) {
    const own = Object.keys(entry.networks ?? {});
    for (const key of own.length > 0 ? own : ["default"]) keys.add(key);
  }
  const external = [...keys].filter((key) => file.networks[key]?.external);
  const files = (["secret", "config"] as const).flatMap((kind) =>
    Object.entries(file[`${kind}s`])
      .filter(([, entry]) => !entry.external)
      .map(([key, entry]): FileRequest => ({ kind, name: nameOf(stack, key, entry), entry }))
      .sort((a, b) => a.name < b.name ? -1 : 1)
  );
  return {
    name: stack,
    networks: [...keys].filter((key) => !external.includes(key))
      .map((key) => networkRequest(stack, key, file))
      .sort((a, b) => a.Name < b.Name ? -1 : 1),
    externalNetworks: external.map((key) => networkName(stack, key, file)).sort(),
    files,
    services: inOrder(file)
      .map((name) => convertService(stack, name, file.services[name]!, file)),
  };
}

function networkRequest(stack: string, key: string, file: StackFile): NetworkRequest {
  const entry: NetworkEntry = file.networks[key] ?? {};
  return {
    Name: networkName(stack, key, file),
    Driver: entry.driver ?? "overlay",
    Internal: entry.internal ?? false,
    Attachable: entry.attachable ?? false,
    ...(entry.enable_ipv6 ? { EnableIPv6: true } : {}),
    ...(entry.driver_opts ? { Options: entry.driver_opts } : {}),
    Labels: { ...entry.labels, [STACK_LABEL]: stack },
    ...(entry.ipam
      ? {
        IPAM: dropEmpty<NonNullable<NetworkRequest["IPAM"]>>({
          Driver: entry.ipam.driver,
          Config: entry.ipam.config?.map((config) =>
            dropEmpty<Record<string, unknown>>({
              Subnet: config.subnet,
              IPRange: config.ip_range,
              Gateway: config.gateway,
              AuxiliaryAddresses: config.aux_addresses,
            })
          ),
        }),
      }
      : {}),
  };
}

/** Names of the services, each after those that it depends on; there are no circles. */
function inOrder({ services }: StackFile): string[] {
  const out = new Set<string>();
  const add = (name: string) => {
    for (const other of Object.keys(services[name]?.depends_on ?? {}).sort()) {
      if (!out.has(other) && Object.hasOwn(services, other)) add(other);
    }
    out.add(name);
  };
  for (const name of Object.keys(services).sort()) add(name);
  return [...out];
}
