import { createCapabilities } from "../../model/capabilities.ts";
import { DEVICES_LABEL, PRIVILEGED_LABEL } from "../../model/host_access.ts";
import { dependenciesText, DEPENDS_LABEL } from "../../model/dependencies.ts";
import type { ContainerSpec } from "../../model/container_spec.ts";
import type {
  EndpointSpec,
  NetworkAttachmentConfig,
  ServiceMode,
  ServiceSpec,
  TaskSpec,
  UpdateConfig,
} from "../../model/service_spec.ts";
import { taggedImage } from "../../model/tagged_image.ts";
import { convertFiles } from "./convert_files.ts";
import { convertMounts } from "./convert_mounts.ts";
import { IMAGE_LABEL, networkName, STACK_LABEL } from "./naming.ts";
import type { Deploy, Rollout, ServiceEntry, StackFile } from "./stack_file.ts";

/**
 * The service that an entry stands for, as Docker's client makes it: the same spec from the same file.
 * Networks are targeted by name, secrets and configs have their name and no id yet.
 */
export function convertService(
  stack: string,
  name: string,
  entry: ServiceEntry,
  file: StackFile,
): ServiceSpec {
  const { deploy = {} } = entry;
  const update = convertRollout(deploy.update_config);
  const rollback = convertRollout(deploy.rollback_config);
  return {
    Name: `${stack}_${name}`,
    Labels: {
      ...deploy.labels,
      ...dependencyLabel(stack, entry, file),
      [IMAGE_LABEL]: entry.image ?? "",
      [STACK_LABEL]: stack,
    },
    TaskTemplate: convertTask(stack, name, entry, file),
    Mode: convertMode(deploy),
    ...(update ? { UpdateConfig: update } : {}),
    ...(rollback ? { RollbackConfig: rollback } : {}),
    EndpointSpec: convertEndpoint(entry),
  };
}

/** An optional dependency that is not in the file is none. */
function dependencyLabel(
  stack: string,
  entry: ServiceEntry,
  file: StackFile,
): Record<string, string> {
  const list = Object.entries(entry.depends_on ?? {})
    .filter(([name]) => Object.hasOwn(file.services, name))
    .map(([name, { condition }]) => ({ name: `${stack}_${name}`, condition }));
  return list.length > 0 ? { [DEPENDS_LABEL]: dependenciesText(list) } : {};
}

function convertTask(
  stack: string,
  name: string,
  entry: ServiceEntry,
  file: StackFile,
): TaskSpec {
  const { deploy = {}, logging } = entry;
  const restart = convertRestart(entry);
  const networks = convertNetworks(stack, name, entry, file);
  return {
    ContainerSpec: convertContainer(stack, entry, file),
    Resources: convertResources(deploy.resources),
    ...(restart ? { RestartPolicy: restart } : {}),
    Placement: convertPlacement(deploy.placement),
    Networks: networks,
    ...(logging
      ? {
        LogDriver: {
          ...(logging.driver === undefined ? {} : { Name: logging.driver }),
          ...(logging.options ? { Options: logging.options } : {}),
        },
      }
      : {}),
    ForceUpdate: 0,
  };
}

function convertContainer(stack: string, entry: ServiceEntry, file: StackFile): ContainerSpec {
  const capabilities = createCapabilities(entry.cap_add, entry.cap_drop);
  const mounts = convertMounts(stack, entry, file);
  const health = convertHealthcheck(entry);
  const env = Object.entries(entry.environment ?? {})
    .map(([key, value]) => value === null ? key : `${key}=${value}`).sort();
  const dns = dropEmpty({
    Nameservers: entry.dns,
    Search: entry.dns_search,
    Options: entry.dns_opt,
  });
  return dropEmpty<ContainerSpec>({
    Image: taggedImage(entry.image ?? ""),
    Labels: { ...hostAccessLabels(entry), ...entry.labels, [STACK_LABEL]: stack },
    Command: entry.entrypoint,
    Args: entry.command,
    Hostname: entry.hostname,
    Env: env,
    Dir: entry.working_dir,
    User: entry.user,
    Groups: entry.group_add,
    Privileges: { NoNewPrivileges: false, ...convertCredentials(entry) },
    Init: entry.init,
    StopSignal: entry.stop_signal,
    TTY: entry.tty || undefined,
    OpenStdin: entry.stdin_open || undefined,
    ReadOnly: entry.read_only || undefined,
    Mounts: mounts,
    StopGracePeriod: entry.stop_grace_period,
    Healthcheck: health,
    Hosts: entry.extra_hosts?.map((text) => {
      const cut = text.indexOf(":");
      return `${text.slice(cut + 1)} ${text.slice(0, cut)}`;
    }),
    DNSConfig: dns,
    ...convertFiles(stack, entry, file),
    Isolation: entry.isolation,
    Sysctls: entry.sysctls,
    CapabilityAdd: capabilities.add,
    CapabilityDrop: capabilities.drop,
    Ulimits: Object.entries(entry.ulimits ?? {}).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([Name, { hard, soft }]) => ({ Name, Hard: hard, Soft: soft })),
    OomScoreAdj: entry.oom_score_adj,
  });
}

/** What the API has no field for; labels that the file writes itself win. */
function hostAccessLabels({ devices = [], privileged }: ServiceEntry): Record<string, string> {
  return {
    ...(privileged ? { [PRIVILEGED_LABEL]: "true" } : {}),
    ...(devices.length > 0 ? { [DEVICES_LABEL]: devices.join(",") } : {}),
  };
}

/** The id of a config that holds the specification is filled in with the others. */
function convertCredentials({ credential_spec: spec }: ServiceEntry): ContainerSpec["Privileges"] {
  if (!spec) return {};
  return {
    CredentialSpec: {
      Config: "",
      File: spec.file ?? "",
      Registry: spec.registry ?? "",
    },
  };
}

function convertHealthcheck({ healthcheck: check }: ServiceEntry): ContainerSpec["Healthcheck"] {
  if (!check) return undefined;
  if (check.disable) return { Test: ["NONE"] };
  return dropEmpty({
    Test: check.test,
    Interval: check.interval,
    Timeout: check.timeout,
    StartPeriod: check.start_period,
    StartInterval: check.start_interval,
    Retries: check.retries,
  });
}

const ON_FAILURE = "on-failure";

/** `deploy.restart_policy`, else what `restart` says; neither leaves it to the cluster's default. */
function convertRestart({ deploy, restart }: ServiceEntry): TaskSpec["RestartPolicy"] {
  const policy = deploy?.restart_policy;
  if (policy) {
    return {
      ...(policy.condition === undefined ? {} : { Condition: policy.condition }),
      ...(policy.delay === undefined ? {} : { Delay: policy.delay }),
      ...(policy.max_attempts === undefined ? {} : { MaxAttempts: policy.max_attempts }),
      ...(policy.window === undefined ? {} : { Window: policy.window }),
    };
  }
  if (restart === "always" || restart === "unless-stopped") return { Condition: "any" };
  if (!restart?.startsWith(ON_FAILURE)) return undefined;
  return {
    Condition: ON_FAILURE,
    MaxAttempts: Number(restart.slice(ON_FAILURE.length + 1) || 0),
  };
}

function convertResources(resources: Deploy["resources"]): NonNullable<TaskSpec["Resources"]> {
  const { limits, reservations } = resources ?? {};
  return {
    ...(limits
      ? {
        Limits: dropEmpty({
          NanoCPUs: limits.cpus,
          MemoryBytes: limits.memory,
          Pids: limits.pids,
        }),
      }
      : {}),
    ...(reservations
      ? {
        Reservations: dropEmpty({
          NanoCPUs: reservations.cpus,
          MemoryBytes: reservations.memory,
          GenericResources: reservations.generic_resources?.map(({ kind, value }) => ({
            DiscreteResourceSpec: { Kind: kind, Value: value },
          })),
        }),
      }
      : {}),
  };
}

function convertPlacement(placement: Deploy["placement"]): NonNullable<TaskSpec["Placement"]> {
  return dropEmpty({
    Constraints: placement?.constraints,
    Preferences: placement?.preferences?.map((SpreadDescriptor) => ({
      Spread: { SpreadDescriptor },
    })),
    MaxReplicas: placement?.max_replicas_per_node || undefined,
  });
}

/** Docker's own networks, which have no names and aliases to give. */
const PREDEFINED = new Set(["bridge", "default", "host", "nat", "none"]);

function convertNetworks(
  stack: string,
  service: string,
  entry: ServiceEntry,
  file: StackFile,
): NetworkAttachmentConfig[] {
  const uses = Object.keys(entry.networks ?? {}).length > 0 ? entry.networks! : { default: {} };
  return Object.entries(uses).map(([key, use]) => {
    const Target = networkName(stack, key, file);
    const aliases = [...use.aliases ?? [], ...(PREDEFINED.has(Target) ? [] : [service])];
    return dropEmpty<NetworkAttachmentConfig>({
      Target,
      Aliases: aliases,
      DriverOpts: use.driver_opts,
    });
  }).sort((a, b) => (a.Target ?? "") < (b.Target ?? "") ? -1 : 1);
}

function convertMode({ mode = "replicated", replicas }: Deploy): ServiceMode {
  if (mode === "global") return { Global: {} };
  if (mode === "global-job") return { GlobalJob: {} };
  if (mode === "replicated-job") {
    return {
      ReplicatedJob: replicas === undefined
        ? {}
        : { MaxConcurrent: replicas, TotalCompletions: replicas },
    };
  }
  return { Replicated: replicas === undefined ? {} : { Replicas: replicas } };
}

function convertRollout(rollout: Rollout | undefined): UpdateConfig | undefined {
  if (!rollout) return undefined;
  return {
    Parallelism: rollout.parallelism ?? 1,
    ...(rollout.delay === undefined ? {} : { Delay: rollout.delay }),
    ...(rollout.failure_action === undefined ? {} : { FailureAction: rollout.failure_action }),
    ...(rollout.monitor === undefined ? {} : { Monitor: rollout.monitor }),
    MaxFailureRatio: rollout.max_failure_ratio ?? 0,
    Order: rollout.order ?? "",
  };
}

function convertEndpoint({ deploy, ports = [] }: ServiceEntry): EndpointSpec {
  return dropEmpty<EndpointSpec>({
    Mode: deploy?.endpoint_mode,
    Ports: ports
      .map((port) => ({
        ...(port.name === undefined ? {} : { Name: port.name }),
        Protocol: port.protocol,
        TargetPort: port.target,
        ...(port.published === undefined ? {} : { PublishedPort: port.published }),
        PublishMode: port.mode,
      }))
      .sort((a, b) => (a.PublishedPort ?? 0) - (b.PublishedPort ?? 0)),
  });
}

/** Without members that are undefined, or empty lists and objects. */
export function dropEmpty<T extends object>(
  value: { readonly [K in keyof T]: T[K] | undefined },
): T {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) =>
      member !== undefined && member !== "" &&
      !(typeof member === "object" && member !== null && Object.keys(member).length === 0)
    ),
  ) as T;
}
