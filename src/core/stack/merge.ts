import type {
  Deploy,
  FileUse,
  Port,
  ServiceEntry,
  StackFile,
  Texts,
  VolumeUse,
} from "./stack_file.ts";

/** The files one after the other: the later wins, as Docker's client merges them. */
export function mergeFiles(files: readonly StackFile[]): StackFile {
  return files.reduce((base, over) => ({
    ...optional("version", over.version ?? base.version),
    ...optional("name", over.name ?? base.name),
    services: mergeMaps(base.services, over.services, mergeServices),
    // What is declared anew at the top level replaces the earlier declaration as a whole.
    networks: { ...base.networks, ...over.networks },
    volumes: { ...base.volumes, ...over.volumes },
    secrets: { ...base.secrets, ...over.secrets },
    configs: { ...base.configs, ...over.configs },
    extensions: { ...base.extensions, ...over.extensions },
  }));
}

type Rule<K extends keyof ServiceEntry> = (
  base: NonNullable<ServiceEntry[K]>,
  over: NonNullable<ServiceEntry[K]>,
) => NonNullable<ServiceEntry[K]>;

/** What is not here is replaced. */
const RULES: { readonly [K in keyof ServiceEntry]?: Rule<K> } = {
  cap_add: append,
  cap_drop: append,
  configs: byKey((use: FileUse) => use.source),
  depends_on: spread,
  deploy: mergeDeploy,
  devices: byKey((device: string) => device.split(":")[1] ?? ""),
  dns: append,
  dns_opt: append,
  dns_search: append,
  env_file: append,
  environment: spread,
  extra_hosts: append,
  group_add: append,
  healthcheck: spread,
  labels: spread,
  logging: (base, over) =>
    over.driver === undefined || base.driver === undefined || base.driver === over.driver
      ? { ...base, ...over, options: { ...base.options, ...over.options } }
      : over,
  networks: (base, over) => mergeMaps(base, over, spread),
  // A published port belongs to one target; unpublished ones are told apart by their target.
  ports: byKey((port: Port) =>
    port.published === undefined
      ? `target ${port.target}/${port.protocol}`
      : `${port.published}/${port.protocol}`
  ),
  secrets: byKey((use: FileUse) => use.source),
  sysctls: spread,
  tmpfs: append,
  ulimits: spread,
  volumes: byKey((use: VolumeUse) => use.target ?? ""),
};

export function mergeServices(base: ServiceEntry, over: ServiceEntry): ServiceEntry {
  const out: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = out[key];
    const rule = RULES[key as keyof ServiceEntry] as
      | ((a: unknown, b: unknown) => unknown)
      | undefined;
    out[key] = before === undefined || rule === undefined ? value : rule(before, value);
  }
  return out as ServiceEntry;
}

function mergeDeploy(base: Deploy, over: Deploy): Deploy {
  const { resources, placement } = over;
  return {
    ...base,
    ...over,
    ...pair("labels", base.labels, over.labels),
    ...pair("update_config", base.update_config, over.update_config),
    ...pair("rollback_config", base.rollback_config, over.rollback_config),
    ...pair("restart_policy", base.restart_policy, over.restart_policy),
    ...(base.resources && resources
      ? {
        resources: {
          ...base.resources,
          ...resources,
          ...pair("limits", base.resources.limits, resources.limits),
          ...pair("reservations", base.resources.reservations, resources.reservations),
        },
      }
      : {}),
    ...(base.placement && placement
      ? {
        placement: {
          ...base.placement,
          ...placement,
          ...(base.placement.constraints && placement.constraints
            ? { constraints: append(base.placement.constraints, placement.constraints) }
            : {}),
          ...(base.placement.preferences && placement.preferences
            ? { preferences: append(base.placement.preferences, placement.preferences) }
            : {}),
        },
      }
      : {}),
  };
}

/** `{ name: both }` where both are there. */
function pair<K extends string, T extends object>(
  name: K,
  base: T | undefined,
  over: T | undefined,
): { [Key in K]?: T } {
  return (base && over ? { [name]: { ...base, ...over } } : {}) as { [Key in K]?: T };
}

function append<T>(base: readonly T[], over: readonly T[]): T[] {
  return [...base, ...over];
}

function spread<T extends object>(base: T, over: T): T {
  return { ...base, ...over };
}

/** Entries of the later list replace those of the same key in their place; new ones follow. */
function byKey<T>(keyOf: (item: T) => string): (base: T[], over: T[]) => T[] {
  return (base, over) => {
    const out = new Map(base.map((item) => [keyOf(item), item]));
    for (const item of over) out.set(keyOf(item), item);
    return [...out.values()];
  };
}

function mergeMaps<T>(
  base: Readonly<Record<string, T>>,
  over: Readonly<Record<string, T>>,
  merge: (base: T, over: T) => T,
): Record<string, T> {
  const out: Record<string, T> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = out[key];
    out[key] = before === undefined ? value : merge(before, value);
  }
  return out;
}

function optional<K extends string>(key: K, value: string | undefined): Partial<Texts> {
  return value === undefined ? {} : { [key]: value };
}
