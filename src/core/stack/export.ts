import type { ContainerSpec, Mount } from "../../model/container_spec.ts";
import { dependenciesOf, DEPENDS_LABEL } from "../../model/dependencies.ts";
import { modeOf } from "../../model/service.ts";
import type { ServiceSpec, TaskSpec, UpdateConfig } from "../../model/service_spec.ts";
import { dropEmpty } from "./convert_service.ts";
import { IMAGE_LABEL, STACK_LABEL } from "./naming.ts";
import type {
  Deploy,
  FileEntry,
  FileUse,
  NetworkEntry,
  Rollout,
  ServiceEntry,
  StackFile,
  VolumeEntry,
  VolumeUse,
} from "./stack_file.ts";

/** What a stack is made of in the cluster, networks targeted by name. */
export interface RunningStack {
  readonly services: readonly ServiceSpec[];
  /** The networks that the services use, by name; one that is not the stack's own is `external`. */
  readonly networks: Readonly<Record<string, NetworkEntry>>;
  /** Text of the stack's own configs, by name; what is not here is `external`. */
  readonly configs: Readonly<Record<string, string>>;
}

/**
 * The compose file of a running stack: deploying it changes nothing. A secret's data is not to be had, so
 * secrets are external; so is what belongs to others.
 */
export function exportStack(stack: string, running: RunningStack): StackFile {
  const services: Record<string, ServiceEntry> = {};
  const networks: Record<string, NetworkEntry> = {};
  const volumes: Record<string, VolumeEntry> = {};
  const secrets: Record<string, FileEntry> = {};
  const configs: Record<string, FileEntry> = {};
  const key = (name: string) => name.startsWith(`${stack}_`) ? name.slice(stack.length + 1) : name;
  for (const spec of running.services) {
    const container = spec.TaskTemplate?.ContainerSpec ?? {};
    for (const { Target = "" } of spec.TaskTemplate?.Networks ?? []) {
      const found = running.networks[Target] ?? { external: true };
      if (key(Target) === "default" && Object.keys(found).length === 0) continue;
      networks[key(Target)] = found.external ? { name: Target, external: true } : found;
    }
    for (const { SecretName = "" } of container.Secrets ?? []) {
      secrets[key(SecretName)] = { name: SecretName, external: true };
    }
    for (const { ConfigName = "" } of container.Configs ?? []) {
      const content = running.configs[ConfigName];
      configs[key(ConfigName)] = content === undefined
        ? { name: ConfigName, external: true }
        // A dollar sign is written twice, or it would be taken for a variable.
        : { content: content.replaceAll("$", "$$$$") };
    }
    for (const mount of container.Mounts ?? []) {
      if (mount.Type === "volume" && mount.Source) {
        volumes[key(mount.Source)] = volumeEntry(stack, mount);
      }
    }
    services[key(spec.Name ?? "")] = serviceEntry(stack, spec, key);
  }
  return { services, networks, volumes, secrets, configs, extensions: {} };
}

type Key = (name: string) => string;

function serviceEntry(stack: string, spec: ServiceSpec, key: Key): ServiceEntry {
  const task = spec.TaskTemplate ?? {};
  const container = task.ContainerSpec ?? {};
  const text = (list: readonly string[] | undefined) => list?.map(escaped);
  const credentials = container.Privileges?.CredentialSpec;
  const depends = dependenciesOf(spec)
    .map(({ name, condition }) => [key(name), { condition, required: true }] as const);
  return dropEmpty<ServiceEntry>({
    image: escaped(spec.Labels?.[IMAGE_LABEL] || container.Image || ""),
    command: text(container.Args),
    entrypoint: text(container.Command),
    environment: environment(container.Env),
    labels: texts(without(container.Labels, [STACK_LABEL])),
    hostname: container.Hostname && escaped(container.Hostname),
    user: container.User,
    group_add: copy(container.Groups),
    working_dir: container.Dir && escaped(container.Dir),
    stdin_open: container.OpenStdin || undefined,
    tty: container.TTY || undefined,
    read_only: container.ReadOnly || undefined,
    init: container.Init,
    isolation: container.Isolation === "default" ? undefined : container.Isolation,
    stop_signal: container.StopSignal,
    stop_grace_period: container.StopGracePeriod,
    cap_add: copy(container.CapabilityAdd),
    cap_drop: copy(container.CapabilityDrop),
    dns: copy(container.DNSConfig?.Nameservers),
    dns_search: copy(container.DNSConfig?.Search),
    dns_opt: copy(container.DNSConfig?.Options),
    extra_hosts: container.Hosts?.flatMap((line) => {
      const [address = "", ...names] = line.split(/\s+/);
      return names.map((name) => `${name}:${address}`);
    }),
    sysctls: texts(container.Sysctls),
    ulimits: Object.fromEntries(
      (container.Ulimits ?? []).map(({ Name = "", Soft = 0, Hard = 0 }) => [
        Name,
        { soft: Soft, hard: Hard },
      ]),
    ),
    oom_score_adj: container.OomScoreAdj || undefined,
    healthcheck: healthcheck(container.Healthcheck),
    logging: task.LogDriver
      ? dropEmpty({ driver: task.LogDriver.Name, options: texts(task.LogDriver.Options) })
      : undefined,
    credential_spec: credentials
      ? dropEmpty({ file: credentials.File, registry: credentials.Registry })
      : undefined,
    networks: networks(spec, key),
    ports: spec.EndpointSpec?.Ports?.map((port) => ({
      ...(port.Name ? { name: port.Name } : {}),
      mode: port.PublishMode ?? "ingress",
      target: port.TargetPort ?? 0,
      ...(port.PublishedPort ? { published: port.PublishedPort } : {}),
      protocol: port.Protocol ?? "tcp",
    })),
    volumes: container.Mounts?.map((mount) => volumeUse(mount, key)),
    secrets: container.Secrets?.map(({ File, SecretName = "" }) => fileUse(File, key(SecretName))),
    configs: container.Configs?.filter(({ File }) => File)
      .map(({ File, ConfigName = "" }) => fileUse(File, key(ConfigName))),
    depends_on: Object.fromEntries(depends),
    deploy: deploy(stack, spec, task),
  });
}

/** A dollar sign is written twice, or it would be taken for a variable. */
function escaped(text: string): string {
  return text.replaceAll("$", "$$$$");
}

function texts(of: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(of ?? {}).map(([name, text]) => [name, escaped(text)]));
}

function copy<T>(list: readonly T[] | undefined): T[] | undefined {
  return list && [...list];
}

function without(
  labels: Readonly<Record<string, string>> | undefined,
  keys: readonly string[],
): Record<string, string> {
  return Object.fromEntries(Object.entries(labels ?? {}).filter(([name]) => !keys.includes(name)));
}

function environment(env: ContainerSpec["Env"]): Record<string, string | null> {
  return Object.fromEntries(
    (env ?? []).map((entry) => {
      const at = entry.indexOf("=");
      return at < 0 ? [entry, null] : [entry.slice(0, at), escaped(entry.slice(at + 1))];
    }),
  );
}

function healthcheck(check: ContainerSpec["Healthcheck"]): ServiceEntry["healthcheck"] {
  if (!check) return undefined;
  if (check.Test?.[0] === "NONE") return { disable: true };
  return dropEmpty({
    test: check.Test?.map(escaped),
    interval: check.Interval || undefined,
    timeout: check.Timeout || undefined,
    start_period: check.StartPeriod || undefined,
    start_interval: check.StartInterval || undefined,
    retries: check.Retries || undefined,
  });
}

/** The service's own name is an alias by itself. */
function networks(spec: ServiceSpec, key: Key): ServiceEntry["networks"] {
  const own = key(spec.Name ?? "");
  const uses = (spec.TaskTemplate?.Networks ?? []).map(({ Target = "", Aliases, DriverOpts }) => [
    key(Target),
    dropEmpty<NonNullable<ServiceEntry["networks"]>[string]>({
      aliases: Aliases?.filter((alias) => alias !== own),
      driver_opts: texts(DriverOpts),
    }),
  ]);
  return Object.fromEntries(uses);
}

function fileUse(
  file: { Name?: string; UID?: string; GID?: string; Mode?: number } | undefined,
  source: string,
): FileUse {
  return {
    source,
    ...(file?.Name ? { target: file.Name } : {}),
    ...(file?.UID ? { uid: file.UID } : {}),
    ...(file?.GID ? { gid: file.GID } : {}),
    ...(file?.Mode === undefined ? {} : { mode: file.Mode }),
  };
}

function volumeEntry(stack: string, mount: Mount): VolumeEntry {
  const options = mount.VolumeOptions;
  const source = mount.Source ?? "";
  if (options?.Labels?.[STACK_LABEL] !== stack) return { name: source, external: true };
  return dropEmpty<VolumeEntry>({
    name: source.startsWith(`${stack}_`) ? undefined : source,
    driver: options.DriverConfig?.Name,
    driver_opts: texts(options.DriverConfig?.Options),
    labels: texts(without(options.Labels, [STACK_LABEL])),
  });
}

function volumeUse(mount: Mount, key: Key): VolumeUse {
  const { VolumeOptions: volume, BindOptions: bind, TmpfsOptions: tmpfs } = mount;
  const source = mount.Source &&
    escaped(mount.Type === "volume" ? key(mount.Source) : mount.Source);
  return dropEmpty<VolumeUse>({
    type: mount.Type ?? "volume",
    source,
    target: mount.Target && escaped(mount.Target),
    read_only: mount.ReadOnly || undefined,
    consistency: mount.Consistency,
    bind: dropEmpty({
      propagation: bind?.Propagation,
      create_host_path: bind?.CreateMountpoint || undefined,
    }),
    volume: dropEmpty({ nocopy: volume?.NoCopy || undefined, subpath: volume?.Subpath }),
    tmpfs: dropEmpty({ size: tmpfs?.SizeBytes, mode: tmpfs?.Mode }),
    image: dropEmpty({ subpath: mount.ImageOptions?.Subpath }),
  });
}

function deploy(stack: string, spec: ServiceSpec, task: TaskSpec): Deploy {
  const mode = modeOf(spec);
  const { Limits: limits, Reservations: reserved } = task.Resources ?? {};
  const restart = task.RestartPolicy;
  const labels = without(
    spec.Labels,
    [IMAGE_LABEL, DEPENDS_LABEL, ...(spec.Labels?.[STACK_LABEL] === stack ? [STACK_LABEL] : [])],
  );
  return dropEmpty<Deploy>({
    mode: mode === "replicated" ? undefined : mode,
    replicas: spec.Mode?.Replicated?.Replicas ?? spec.Mode?.ReplicatedJob?.TotalCompletions,
    labels: texts(labels),
    endpoint_mode: spec.EndpointSpec?.Mode === "vip" ? undefined : spec.EndpointSpec?.Mode,
    update_config: rollout(spec.UpdateConfig),
    rollback_config: rollout(spec.RollbackConfig),
    resources: dropEmpty({
      limits: dropEmpty({
        cpus: limits?.NanoCPUs || undefined,
        memory: limits?.MemoryBytes || undefined,
        pids: limits?.Pids || undefined,
      }),
      reservations: dropEmpty({
        cpus: reserved?.NanoCPUs || undefined,
        memory: reserved?.MemoryBytes || undefined,
        generic_resources: reserved?.GenericResources?.flatMap(({ DiscreteResourceSpec: one }) =>
          one ? [{ kind: one.Kind ?? "", value: one.Value ?? 0 }] : []
        ),
      }),
    }),
    restart_policy: dropEmpty({
      condition: restart?.Condition,
      delay: restart?.Delay,
      max_attempts: restart?.MaxAttempts,
      window: restart?.Window,
    }),
    placement: dropEmpty({
      constraints: task.Placement?.Constraints?.map(escaped),
      preferences: task.Placement?.Preferences?.flatMap(({ Spread }) =>
        Spread?.SpreadDescriptor ? [Spread.SpreadDescriptor] : []
      ),
      max_replicas_per_node: task.Placement?.MaxReplicas || undefined,
    }),
  });
}

function rollout(config: UpdateConfig | undefined): Rollout | undefined {
  if (!config) return undefined;
  return dropEmpty({
    parallelism: config.Parallelism,
    delay: config.Delay,
    failure_action: config.FailureAction,
    monitor: config.Monitor,
    max_failure_ratio: config.MaxFailureRatio,
    order: config.Order,
  });
}
