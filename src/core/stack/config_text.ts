import { stringify } from "yaml";
import { formatDuration } from "../../base/duration.ts";
import type { Deploy, ServiceEntry, StackFile } from "./stack_file.ts";

/** The merged files as one compose file that Docker's client reads too. Keys are sorted by name. */
export function configText(file: StackFile): string {
  const document = {
    version: file.version,
    name: file.name,
    services: mapped(file.services, serviceDocument),
    networks: mapped(file.networks),
    volumes: mapped(file.volumes),
    secrets: mapped(file.secrets),
    configs: mapped(file.configs),
    ...file.extensions,
  };
  return stringify(withoutEmpty(document), {
    aliasDuplicateObjects: false,
    lineWidth: 0,
    schema: "yaml-1.1",
  });
}

function withoutEmpty(document: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(document).filter(([, value]) =>
      value !== undefined && (typeof value !== "object" || Object.keys(value ?? {}).length > 0)
    ),
  );
}

function mapped<T>(
  entries: Readonly<Record<string, T>>,
  document: (entry: T) => unknown = (entry) => entry,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(entries).sort().map((key) => [key, document(entries[key]!)]),
  );
}

function serviceDocument(entry: ServiceEntry): unknown {
  const { depends_on: depends, deploy, healthcheck, ulimits, env_file: files } = entry;
  const document: Record<string, unknown> = {
    ...entry,
    ...(depends ? { depends_on: dependsDocument(depends) } : {}),
    ...(deploy ? { deploy: deployDocument(deploy) } : {}),
    ...(files ? { env_file: files.map((each) => each.required ? each.path : each) } : {}),
    ...(healthcheck ? { healthcheck: withDurations(healthcheck) } : {}),
    ...(entry.stop_grace_period === undefined
      ? {}
      : { stop_grace_period: formatDuration(entry.stop_grace_period) }),
    ...(ulimits
      ? {
        ulimits: mapped(ulimits, ({ soft, hard }) => soft === hard ? soft : { soft, hard }),
      }
      : {}),
    ...(entry.networks
      ? {
        networks: mapped(entry.networks, (use) => Object.keys(use).length > 0 ? use : null),
      }
      : {}),
  };
  return Object.fromEntries(Object.keys(document).sort().map((key) => [key, document[key]]));
}

function dependsDocument(depends: NonNullable<ServiceEntry["depends_on"]>): unknown {
  const plain = Object.values(depends).every((each) =>
    each.condition === "service_started" && each.required
  );
  return plain ? Object.keys(depends) : mapped(depends);
}

function deployDocument(deploy: Deploy): unknown {
  const { resources, placement } = deploy;
  const limits = resources?.limits;
  const reservations = resources?.reservations;
  return {
    ...deploy,
    ...(deploy.update_config ? { update_config: withDurations(deploy.update_config) } : {}),
    ...(deploy.rollback_config ? { rollback_config: withDurations(deploy.rollback_config) } : {}),
    ...(deploy.restart_policy ? { restart_policy: withDurations(deploy.restart_policy) } : {}),
    ...(resources
      ? {
        resources: {
          ...(limits ? { limits: amounts(limits) } : {}),
          ...(reservations
            ? {
              reservations: {
                ...amounts(reservations),
                ...(reservations.generic_resources
                  ? {
                    generic_resources: reservations.generic_resources.map((each) => ({
                      discrete_resource_spec: each,
                    })),
                  }
                  : {}),
              },
            }
            : {}),
        },
      }
      : {}),
    ...(placement
      ? {
        placement: {
          ...placement,
          ...(placement.preferences
            ? { preferences: placement.preferences.map((spread) => ({ spread })) }
            : {}),
        },
      }
      : {}),
  };
}

function amounts(of: { cpus?: number; memory?: number; pids?: number }): Record<string, unknown> {
  return {
    ...(of.cpus === undefined ? {} : { cpus: String(of.cpus / 1e9) }),
    ...(of.memory === undefined ? {} : { memory: String(of.memory) }),
    ...(of.pids === undefined ? {} : { pids: of.pids }),
  };
}

const DURATIONS = new Set([
  "delay",
  "interval",
  "monitor",
  "start_interval",
  "start_period",
  "timeout",
  "window",
]);

function withDurations(part: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(part).map((
      [key, value],
    ) => [key, DURATIONS.has(key) ? formatDuration(value as number) : value]),
  );
}
