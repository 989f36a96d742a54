import { SECOND_NS } from "../../base/duration.ts";
import type { Mount } from "../../model/container_spec.ts";
import { devicesOf, isPrivileged } from "../../model/host_access.ts";
import type { Task } from "../../model/task.ts";
import { endpointSettings } from "./container_networks.ts";
import type { ContainerNetworks } from "./container_networks.ts";
import { containerLabels } from "./labels.ts";
import { expand } from "../../model/task_template.ts";
import type { TemplateNode } from "../../model/task_template.ts";

/** A file of a secret or config on the host, to be mounted read-only at `target`. */
export interface MountedFile {
  readonly source: string;
  readonly target: string;
}

type Json = Record<string, unknown>;

/** The body of `POST /containers/create` for a task (field by field what Swarm's agent asks of the engine). */
export function containerRequest(
  task: Task,
  node: TemplateNode,
  files: readonly MountedFile[],
  networks: ContainerNetworks,
): Json {
  const spec = task.Spec.ContainerSpec ?? {};
  const [endpoint] = networks.endpoints;
  const text = (value: string) => expand(value, task, node);
  const hasCommand = (spec.Command?.length ?? 0) > 0;
  return compact({
    Image: spec.Image,
    Labels: containerLabels(task),
    Entrypoint: hasCommand ? spec.Command : undefined,
    Cmd: spec.Args?.length ? spec.Args : undefined,
    Hostname: spec.Hostname === undefined ? undefined : text(spec.Hostname),
    Env: [...(spec.Env ?? []).map(text), ...genericResources(task)],
    WorkingDir: spec.Dir,
    User: spec.User,
    Tty: spec.TTY,
    OpenStdin: spec.OpenStdin,
    StopSignal: spec.StopSignal,
    Healthcheck: spec.Healthcheck,
    // For whoever stops it by hand, and for the engine's own shutdown.
    StopTimeout: spec.StopGracePeriod === undefined
      ? undefined
      : Math.ceil(spec.StopGracePeriod / SECOND_NS),
    ExposedPorts: Object.fromEntries(hostPorts(task).map((port) => [port.key, {}])),
    HostConfig: hostConfig(task, text, files, networks),
    // Engines before 25 take one network here; the container is put on the others before it starts.
    NetworkingConfig: endpoint?.address === undefined && endpoint?.driverOptions === undefined
      ? undefined
      : { EndpointsConfig: { [endpoint.network]: endpointSettings(endpoint) } },
  });
}

function hostConfig(
  task: Task,
  text: (value: string) => string,
  files: readonly MountedFile[],
  networks: ContainerNetworks,
): Json {
  const spec = task.Spec.ContainerSpec ?? {};
  const limits = task.Spec.Resources?.Limits;
  const swap = task.Spec.Resources?.SwapBytes;
  const log = task.Spec.LogDriver ?? task.LogDriver;
  return compact({
    NetworkMode: networks.mode,
    Mounts: [
      ...(spec.Mounts ?? []).map((mount) => mountRequest(mount, text)),
      ...files.map(({ source, target }) => ({
        Type: "bind",
        Source: source,
        Target: target,
        ReadOnly: true,
      })),
    ],
    PortBindings: Object.fromEntries(
      hostPorts(task).map(({ key, published }) => [key, [{ HostPort: published }]]),
    ),
    ExtraHosts: (spec.Hosts ?? []).flatMap((line) => {
      const [ip, ...names] = line.trim().split(/\s+/);
      return names.map((name) => `${name}:${ip}`);
    }),
    // The service's own servers are asked by fleet's: names of services come first.
    Dns: networks.dns.length > 0 ? networks.dns : spec.DNSConfig?.Nameservers,
    DnsSearch: spec.DNSConfig?.Search,
    DnsOptions: spec.DNSConfig?.Options,
    GroupAdd: spec.Groups,
    Privileged: isPrivileged(spec) || undefined,
    Devices: devicesOf(spec).map(({ host, container, permissions }) => ({
      PathOnHost: host,
      PathInContainer: container,
      CgroupPermissions: permissions,
    })),
    CapAdd: spec.CapabilityAdd,
    CapDrop: spec.CapabilityDrop,
    SecurityOpt: securityOptions(task),
    Sysctls: spec.Sysctls,
    Ulimits: spec.Ulimits,
    Init: spec.Init,
    ReadonlyRootfs: spec.ReadOnly,
    OomScoreAdj: spec.OomScoreAdj,
    NanoCpus: limits?.NanoCPUs,
    Memory: limits?.MemoryBytes,
    MemorySwap: swap === undefined ? undefined : swap < 0 ? -1 : (limits?.MemoryBytes ?? 0) + swap,
    MemorySwappiness: task.Spec.Resources?.MemorySwappiness,
    // 0 is "no limit" in a service and "the engine's default" here, which is none.
    PidsLimit: limits?.Pids || undefined,
    LogConfig: log?.Name ? { Type: log.Name, Config: log.Options ?? {} } : undefined,
    // The cluster restarts tasks by making new ones; the engine must not compete.
    RestartPolicy: { Name: "no" },
  });
}

function mountRequest(mount: Mount, text: (value: string) => string): Json {
  return compact({
    Type: mount.Type ?? "bind",
    Source: mount.Source === undefined ? undefined : text(mount.Source),
    Target: mount.Target === undefined ? undefined : text(mount.Target),
    ReadOnly: mount.ReadOnly,
    Consistency: mount.Consistency,
    BindOptions: mount.BindOptions,
    VolumeOptions: mount.VolumeOptions && compact({
      NoCopy: mount.VolumeOptions.NoCopy,
      Labels: expandValues(mount.VolumeOptions.Labels, text),
      DriverConfig: mount.VolumeOptions.DriverConfig && compact({
        Name: mount.VolumeOptions.DriverConfig.Name,
        Options: expandValues(mount.VolumeOptions.DriverConfig.Options, text),
      }),
      Subpath: mount.VolumeOptions.Subpath,
    }),
    ImageOptions: mount.ImageOptions,
    TmpfsOptions: mount.TmpfsOptions,
  });
}

function expandValues(
  values: Readonly<Record<string, string>> | undefined,
  text: (value: string) => string,
): Record<string, string> | undefined {
  return values &&
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, text(value)]));
}

function securityOptions(task: Task): string[] {
  const privileges = task.Spec.ContainerSpec?.Privileges;
  const options: string[] = [];
  if (privileges?.SELinuxContext?.Disable) options.push("label=disable");
  for (
    const [key, value] of [
      ["user", privileges?.SELinuxContext?.User],
      ["role", privileges?.SELinuxContext?.Role],
      ["type", privileges?.SELinuxContext?.Type],
      ["level", privileges?.SELinuxContext?.Level],
    ]
  ) if (value) options.push(`label=${key}:${value}`);
  if (privileges?.Seccomp?.Mode === "unconfined") options.push("seccomp=unconfined");
  if (privileges?.Seccomp?.Mode === "custom") {
    const profile = Uint8Array.from(
      atob(privileges.Seccomp.Profile ?? ""),
      (char) => char.charCodeAt(0),
    );
    options.push(`seccomp=${new TextDecoder().decode(profile)}`);
  }
  if (privileges?.AppArmor?.Mode === "disabled") options.push("apparmor=unconfined");
  if (privileges?.NoNewPrivileges) options.push("no-new-privileges=true");
  return options;
}

/** Ports that the engine publishes on this host; ingress ports are the mesh's business. */
function hostPorts(task: Task): { key: string; published: string }[] {
  return (task.EndpointSpec?.Ports ?? [])
    .filter((port) => port.PublishMode === "host")
    .map((port) => ({
      key: `${port.TargetPort}/${port.Protocol ?? "tcp"}`,
      published: port.PublishedPort ? String(port.PublishedPort) : "",
    }));
}

/** `DOCKER_RESOURCE_GPU=0,1`: what the scheduler claimed for the task. */
function genericResources(task: Task): string[] {
  const byKind = new Map<string, string[]>();
  for (const resource of task.GenericResources ?? []) {
    const kind = resource.NamedResourceSpec?.Kind ?? resource.DiscreteResourceSpec?.Kind ?? "";
    const value = resource.NamedResourceSpec?.Value ??
      String(resource.DiscreteResourceSpec?.Value ?? "");
    byKind.set(kind, [...(byKind.get(kind) ?? []), value]);
  }
  return [...byKind].map(([kind, values]) =>
    `DOCKER_RESOURCE_${kind.toUpperCase()}=${values.join(",")}`
  );
}

/** Without absent fields, so that the engine's defaults hold. */
function compact(value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
