import { FleetError } from "../base/errors.ts";
import { NS_PER_MS } from "../base/duration.ts";
import type { ContainerSpec, HealthConfig, Mount } from "./container_spec.ts";
import { devicesOf, isPrivileged } from "./host_access.ts";
import { isImageReference } from "./image_reference.ts";
import { checkTemplates } from "./task_template.ts";
import { checkSources } from "./port_source.ts";
import { checkName, hasControlCharacters, isContainerPath, isVolumeName } from "./names.ts";
import type { PortConfig, ServiceSpec, TaskSpec, UpdateConfig } from "./service_spec.ts";

const MIN_NANO_CPUS = 1_000_000;
const MIN_MEMORY = 4 * 1024 * 1024;
const MOUNT_TYPES = ["bind", "volume", "tmpfs", "image"];
const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
/** More replicas than this in one service are taken for a typing error. */
export const MAX_REPLICAS = 1_000_000;

/**
 * Checks what can be checked without the rest of the cluster. The rules are SwarmKit's control API's.
 * @throws FleetError invalid
 */
export function validateServiceSpec(spec: ServiceSpec): void {
  checkName("service", spec.Name);
  validateMode(spec);
  validateTaskTemplate(spec.TaskTemplate ?? {});
  validateUpdate("UpdateConfig", spec.UpdateConfig);
  validateUpdate("RollbackConfig", spec.RollbackConfig);
  validateEndpoint(spec);
  checkTemplates(spec);
  checkSources(spec);
}

function bad(message: string): never {
  throw new FleetError("invalid", message);
}

function validateMode(spec: ServiceSpec): void {
  const mode = spec.Mode ?? {};
  const set = [mode.Replicated, mode.Global, mode.ReplicatedJob, mode.GlobalJob].filter(Boolean);
  if (set.length > 1) {
    bad("Mode: only one of Replicated, Global, ReplicatedJob and GlobalJob may be set");
  }
  for (
    const [name, value] of [
      ["Mode.Replicated.Replicas", mode.Replicated?.Replicas],
      ["Mode.ReplicatedJob.MaxConcurrent", mode.ReplicatedJob?.MaxConcurrent],
      ["Mode.ReplicatedJob.TotalCompletions", mode.ReplicatedJob?.TotalCompletions],
    ] as const
  ) {
    if (value !== undefined && value > MAX_REPLICAS) bad(`${name}: at most ${MAX_REPLICAS}`);
  }
  if ((mode.ReplicatedJob || mode.GlobalJob) && spec.UpdateConfig) {
    bad("UpdateConfig: jobs cannot have one, since their tasks are never replaced in place");
  }
}

function validateTaskTemplate(task: TaskSpec): void {
  if (task.Runtime && task.Runtime !== "container") {
    throw new FleetError(
      "unimplemented",
      `TaskTemplate.Runtime: "${task.Runtime}" is not supported; only "container" is`,
    );
  }
  if (!task.ContainerSpec) {
    bad("TaskTemplate.ContainerSpec: missing container spec in service spec");
  }
  validateContainer(task.ContainerSpec);
  validateResources(task);
  const restart = task.RestartPolicy;
  if (restart) {
    if ((restart.Delay ?? 0) < 0) bad("TaskTemplate.RestartPolicy.Delay: cannot be negative");
    if ((restart.Window ?? 0) < 0) bad("TaskTemplate.RestartPolicy.Window: cannot be negative");
    if (restart.Condition && !["none", "on-failure", "any"].includes(restart.Condition)) {
      bad(
        `TaskTemplate.RestartPolicy.Condition: invalid condition "${restart.Condition}"; use none, on-failure or any`,
      );
    }
  }
}

function validateContainer(container: ContainerSpec): void {
  if (!container.Image) bad("ContainerSpec: image reference must be provided");
  if (!isImageReference(container.Image)) {
    bad(`ContainerSpec: "${container.Image}" is not a valid repository/tag`);
  }
  if ((container.StopGracePeriod ?? 0) < 0) {
    bad("ContainerSpec.StopGracePeriod: cannot be negative");
  }
  if (container.Privileges?.CredentialSpec) {
    bad(
      "ContainerSpec.Privileges.CredentialSpec: credential specs are for Windows containers; fleet runs Linux ones",
    );
  }
  isPrivileged(container);
  devicesOf(container);
  validateMounts(container.Mounts ?? []);
  validateHealth(container.Healthcheck);
  validateFiles("secret", container.Secrets ?? [], (ref) => ref.SecretName ?? ref.SecretID);
  validateFiles(
    "config",
    (container.Configs ?? []).filter((c) => !c.Runtime),
    (ref) => ref.ConfigName ?? ref.ConfigID,
  );
}

function validateMounts(mounts: readonly Mount[]): void {
  const targets = new Set<string>();
  for (const mount of mounts) {
    const type = mount.Type ?? "bind";
    if (type === "npipe" || type === "cluster") {
      bad(
        `ContainerSpec.Mounts: mount type "${type}" is not supported on Linux; use ${
          MOUNT_TYPES.join(", ")
        }`,
      );
    }
    if (!MOUNT_TYPES.includes(type)) {
      bad(`ContainerSpec.Mounts: unknown mount type "${type}"; use ${MOUNT_TYPES.join(", ")}`);
    }
    if (!mount.Target) bad("ContainerSpec.Mounts: a mount needs a Target");
    if (type === "bind" && !mount.Source) {
      bad(`ContainerSpec.Mounts: the bind mount at ${mount.Target} needs a Source`);
    }
    if (type === "bind" && !mount.Source?.startsWith("/") && !mount.Source?.startsWith("{{")) {
      bad(
        `ContainerSpec.Mounts: invalid bind mount source, must be an absolute path: ${mount.Source}`,
      );
    }
    const propagation = mount.BindOptions?.Propagation;
    if (propagation && !PROPAGATIONS.includes(propagation)) {
      bad(
        `ContainerSpec.Mounts: invalid MountPropagation: "${propagation}"; use ${
          PROPAGATIONS.join(", ")
        }`,
      );
    }
    if (type === "tmpfs" && mount.Source) {
      bad(`ContainerSpec.Mounts: the tmpfs mount at ${mount.Target} cannot have a Source`);
    }
    if (!isContainerPath(mount.Target)) {
      bad(
        `ContainerSpec.Mounts: invalid mount target, must be an absolute path: ${
          JSON.stringify(mount.Target)
        }`,
      );
    }
    if (
      mount.Source &&
      (type === "volume" ? !isVolumeName(mount.Source) : hasControlCharacters(mount.Source))
    ) {
      bad(`ContainerSpec.Mounts: invalid ${type} source ${JSON.stringify(mount.Source)}`);
    }
    const target = withoutDots(mount.Target);
    if (target === "/") bad("ContainerSpec.Mounts: a mount cannot replace the container's /");
    if (targets.has(target)) bad(`ContainerSpec.Mounts: duplicate mount point: ${mount.Target}`);
    targets.add(target);
  }
}

/** The place that a path means: `/a/../..` is `/`. */
function withoutDots(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function validateHealth(health: HealthConfig | undefined): void {
  if (!health) return;
  for (const field of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const value = health[field] ?? 0;
    if (value !== 0 && value < NS_PER_MS) {
      bad(`ContainerSpec.Healthcheck.${field}: must be 0 or at least 1ms`);
    }
  }
  if ((health.Retries ?? 0) < 0) bad("ContainerSpec.Healthcheck.Retries: cannot be negative");
}

function validateFiles<R extends { readonly File?: { readonly Name?: string } }>(
  kind: string,
  references: readonly R[],
  nameOf: (reference: R) => string | undefined,
): void {
  const targets = new Map<string, string>();
  for (const reference of references) {
    const name = nameOf(reference) ?? "";
    const target = reference.File?.Name;
    if (!target) bad(`malformed ${kind} reference "${name}": no target file given`);
    const parts = target.split("/");
    if (target === "." || parts.includes("..") || hasControlCharacters(target)) {
      bad(`malformed ${kind} reference "${name}": invalid target path "${target}"`);
    }
    const other = targets.get(target);
    if (other !== undefined) {
      bad(`${kind} references "${other}" and "${name}" have a conflicting target: "${target}"`);
    }
    targets.set(target, name);
  }
}

function validateResources(task: TaskSpec): void {
  for (const part of ["Limits", "Reservations"] as const) {
    const resources = task.Resources?.[part];
    const cpus = resources?.NanoCPUs ?? 0;
    if (cpus !== 0 && cpus < MIN_NANO_CPUS) {
      bad(
        `TaskTemplate.Resources.${part}: invalid cpu value ${cpus / 1e9}: Must be at least ${
          MIN_NANO_CPUS / 1e9
        }`,
      );
    }
    const memory = resources?.MemoryBytes ?? 0;
    if (memory !== 0 && memory < MIN_MEMORY) {
      bad(`TaskTemplate.Resources.${part}: invalid memory value ${memory}: Must be at least 4MiB`);
    }
  }
  for (const generic of task.Resources?.Reservations?.GenericResources ?? []) {
    if (generic.NamedResourceSpec) {
      bad("GenericResources: a service asks for a count (name=N), not for one by name");
    }
    if ((generic.DiscreteResourceSpec?.Value ?? 0) <= 0) {
      bad("GenericResources: the count must be above 0");
    }
  }
}

function validateUpdate(field: string, config: UpdateConfig | undefined): void {
  if (!config) return;
  if ((config.Delay ?? 0) < 0) bad(`${field}.Delay: cannot be negative`);
  if ((config.Monitor ?? 0) < 0) bad(`${field}.Monitor: cannot be negative`);
  const ratio = config.MaxFailureRatio ?? 0;
  if (ratio < 0 || ratio > 1) {
    bad(`${field}.MaxFailureRatio: must be between 0 and 1, not ${ratio}`);
  }
  // A rollback that fails is paused, whatever is written: as in Swarm it is never rolled back itself.
  const actions = ["pause", "continue", "rollback"];
  if (config.FailureAction && !actions.includes(config.FailureAction)) {
    bad(
      `${field}.FailureAction: unrecognized action "${config.FailureAction}"; use ${
        actions.join(", ")
      }`,
    );
  }
  if (config.Order && !["stop-first", "start-first"].includes(config.Order)) {
    bad(`${field}.Order: unrecognized order "${config.Order}"; use stop-first or start-first`);
  }
}

function validateEndpoint(spec: ServiceSpec): void {
  const endpoint = spec.EndpointSpec;
  if (!endpoint) return;
  const mode = endpoint.Mode ?? "vip";
  if (mode !== "vip" && mode !== "dnsrr") {
    bad(`EndpointSpec.Mode: invalid mode "${mode}"; use vip or dnsrr`);
  }
  const seen = new Set<string>();
  for (const port of endpoint.Ports ?? []) {
    validatePort(port);
    const publish = port.PublishMode ?? "ingress";
    if (mode === "dnsrr" && publish === "ingress") {
      bad("EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
    }
    if (!port.PublishedPort) continue;
    const key = `${port.PublishedPort}/${port.Protocol ?? "tcp"}`;
    if (seen.has(key)) bad(`EndpointSpec: duplicate published ports provided: ${key}`);
    seen.add(key);
  }
}

function validatePort(port: PortConfig): void {
  const protocol = port.Protocol ?? "tcp";
  if (!["tcp", "udp", "sctp"].includes(protocol)) {
    bad(`EndpointSpec.Ports: invalid protocol "${protocol}"; use tcp, udp or sctp`);
  }
  if (!["ingress", "host"].includes(port.PublishMode ?? "ingress")) {
    bad(`EndpointSpec.Ports: invalid publish mode "${port.PublishMode}"; use ingress or host`);
  }
  if (!port.TargetPort || port.TargetPort > 65535) {
    bad(
      `EndpointSpec.Ports: the target port must be between 1 and 65535, not ${
        port.TargetPort ?? 0
      }`,
    );
  }
  if ((port.PublishedPort ?? 0) > 65535) {
    bad(`EndpointSpec.Ports: the published port must be at most 65535, not ${port.PublishedPort}`);
  }
}
