import { FleetError } from "../../base/errors.ts";
import { parseConstraints } from "../../model/constraint.ts";
import { ingressPorts, modeOf } from "../../model/service.ts";
import type { Service, UpdateOrder } from "../../model/service.ts";
import type { ServiceSpec, TaskSpec } from "../../model/service_spec.ts";
import { timeText } from "../../model/meta.ts";
import { checkHostAccess } from "../../model/host_access.ts";
import { validateServiceSpec } from "../../model/validate_service.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import type { ControlContext } from "./context.ts";
import { generateName } from "./generated_name.ts";
import { find, findVersion } from "./lookup.ts";
import { ensureIngress } from "./networks.ts";
import { checkPublishedPorts, endpointWithPorts } from "./published_ports.ts";
import type { ControlArgs, ControlResult } from "./methods.ts";

/** Creates a service; without a name it gets a made-up one. Its tasks are the orchestrator's business. */
export function createService(
  { tx, newId, nowMs, randomBytes, trace }: ControlContext,
  args: ControlArgs<"service.create">,
): ControlResult<"service.create"> {
  const id = newId();
  const spec = settle(
    tx,
    args.spec.Name ? args.spec : {
      ...args.spec,
      Name: generateName(randomBytes, (name) => tx.byName("service", name) !== undefined),
    },
  );
  check(tx, spec, id);
  if (ingressPorts(spec).length > 0) ensureIngress(tx, newId);
  tx.create("service", {
    ID: id,
    Spec: spec,
    SpecVersion: { Index: 1 },
    ...(isJob(spec)
      ? { JobStatus: { JobIteration: { Index: 0 }, LastExecution: timeText(nowMs) } }
      : {}),
    Endpoint: endpointWithPorts(tx, spec),
    ...(trace === undefined ? {} : { Trace: trace }),
  });
  return { id, warnings: warningsOf(spec) };
}

/** Replaces the whole spec, or goes back to the previous one. */
export function updateService(
  context: ControlContext,
  args: ControlArgs<"service.update">,
): ControlResult<"service.update"> {
  const { tx, newId } = context;
  const service = findVersion(tx, "service", args.id, args.version);
  if (args.rollback === "previous") return rollbackService(context, service);
  const spec = withCredentials(
    keepBackoff(settle(tx, args.spec), service),
    service,
    args.registryAuthFrom,
  );
  if (spec.Name !== service.Spec.Name) {
    throw new FleetError("unimplemented", "renaming services is not supported");
  }
  if (modeOf(spec) !== modeOf(service.Spec)) {
    throw new FleetError("unimplemented", "service mode change is not allowed");
  }
  check(tx, spec, service.ID);
  if (ingressPorts(spec).length > 0) ensureIngress(tx, newId);
  if (args.order !== undefined && isJob(spec)) {
    throw new FleetError("invalid", `${spec.Name} is a job: an update of it has no order`);
  }
  storeNewSpec(context, service, spec, args.order);
  return { warnings: warningsOf(spec) };
}

/**
 * Puts a checked spec in the place of the current one, which stays to be rolled back to. An `order` holds
 * until this update is over or another one begins.
 */
export function storeNewSpec(
  { tx, nowMs, trace }: Pick<ControlContext, "tx" | "nowMs" | "trace">,
  service: Service,
  spec: ServiceSpec,
  order?: UpdateOrder,
): void {
  const { UpdateStatus: _, Trace: __, ...rest } = service;
  tx.update("service", {
    ...rest,
    Spec: spec,
    PreviousSpec: service.Spec,
    SpecVersion: nextSpecVersion(service),
    PreviousSpecVersion: service.SpecVersion ?? { Index: 0 },
    Endpoint: { ...service.Endpoint, ...endpointWithPorts(tx, spec, service) },
    ...(order === undefined ? {} : {
      UpdateStatus: {
        State: "updating",
        StartedAt: timeText(nowMs),
        Message: "update in progress",
        Order: order,
      },
    }),
    ...(trace === undefined ? {} : { Trace: trace }),
    ...(isJob(spec)
      ? {
        JobStatus: {
          JobIteration: { Index: (service.JobStatus?.JobIteration.Index ?? 0) + 1 },
          LastExecution: timeText(nowMs),
        },
      }
      : {}),
  });
}

/** Swaps the spec with the previous one, so that a second manual rollback undoes the first. */
function rollbackService(
  { tx, nowMs, trace }: ControlContext,
  service: Service,
): ControlResult<"service.update"> {
  if (!service.PreviousSpec) {
    throw new FleetError("invalid", `service ${service.ID} does not have a previous spec`);
  }
  // Somebody may have taken a port of the previous spec meanwhile.
  checkPublishedPorts(tx, service.PreviousSpec, service.ID);
  const { Trace: _, ...rest } = service;
  tx.update("service", {
    ...rest,
    ...(trace === undefined ? {} : { Trace: trace }),
    Spec: service.PreviousSpec,
    PreviousSpec: service.Spec,
    // A version of its own: the rollout counts only failures of tasks that carry it.
    SpecVersion: nextSpecVersion(service),
    PreviousSpecVersion: service.SpecVersion ?? { Index: 0 },
    Endpoint: {
      ...service.Endpoint,
      ...endpointWithPorts(tx, service.PreviousSpec, service),
    },
    UpdateStatus: {
      State: "rollback_started",
      StartedAt: timeText(nowMs),
      Message: "manually requested rollback",
    },
  });
  return { warnings: [] };
}

export function removeService({ tx }: ControlContext, args: ControlArgs<"service.remove">): null {
  find(tx, "service", args.id);
  tx.remove("service", args.id);
  return null;
}

function nextSpecVersion(service: Service): { Index: number } {
  const newest = Math.max(service.SpecVersion?.Index ?? 0, service.PreviousSpecVersion?.Index ?? 0);
  return { Index: newest + 1 };
}

function isJob(spec: ServiceSpec): boolean {
  const mode = modeOf(spec);
  return mode === "replicated-job" || mode === "global-job";
}

/** Fills what Docker fills at once and moves the networks from where older clients put them. */
function settle(view: View, spec: ServiceSpec): ServiceSpec {
  const { Networks: legacy, ...rest } = spec;
  const mode = rest.Mode ?? {};
  const filled: ServiceSpec["Mode"] = mode.Global || mode.GlobalJob ? mode : mode.ReplicatedJob
    ? {
      ReplicatedJob: {
        MaxConcurrent: mode.ReplicatedJob.MaxConcurrent ?? 1,
        TotalCompletions: mode.ReplicatedJob.TotalCompletions ??
          mode.ReplicatedJob.MaxConcurrent ?? 1,
      },
    }
    : { ...mode, Replicated: { Replicas: mode.Replicated?.Replicas ?? 1 } };
  const template: TaskSpec = rest.TaskTemplate ?? {};
  const named = template.Networks?.length ? template.Networks : legacy;
  // Clients may name a network; what is stored is its id. An unknown one is refused by the check.
  const networks = named?.map((network) => {
    const { Target = "" } = network;
    const found = view.get("network", Target) ?? view.byName("network", Target);
    return found ? { ...network, Target: found.ID } : network;
  });
  return {
    ...rest,
    Labels: rest.Labels ?? {},
    TaskTemplate: networks ? { ...template, Networks: networks } : template,
    Mode: filled,
  };
}

/** A stock client writes a spec back without what it does not know: that shall stay as it is. */
function keepBackoff(spec: ServiceSpec, { Spec: { Backoff } }: Service): ServiceSpec {
  return spec.Backoff === undefined && Backoff !== undefined ? { ...spec, Backoff } : spec;
}

/** A spec without pull credentials keeps those of the current or the previous one. */
function withCredentials(
  spec: ServiceSpec,
  service: Service,
  from: "spec" | "previous-spec" | undefined,
): ServiceSpec {
  const container = spec.TaskTemplate?.ContainerSpec;
  if (!container || container.PullOptions?.RegistryAuth) return spec;
  if (from === "previous-spec" && !service.PreviousSpec) {
    throw new FleetError("internal", "no previous spec to take the registry credentials from");
  }
  const source = from === "previous-spec" ? service.PreviousSpec : service.Spec;
  const auth = source?.TaskTemplate?.ContainerSpec?.PullOptions;
  if (!auth) return spec;
  return {
    ...spec,
    TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { ...container, PullOptions: auth } },
  };
}

function check(view: View, spec: ServiceSpec, id: string): void {
  validateServiceSpec(spec);
  parseConstraints(spec.TaskTemplate?.Placement?.Constraints ?? []);
  // Services that exist already go on as they are.
  checkHostAccess(spec.TaskTemplate?.ContainerSpec ?? {}, clusterOf(view)?.Policy);
  checkFiles(view, spec);
  checkNetworks(view, spec);
  checkPublishedPorts(view, spec, id);
  const named = view.byName("service", spec.Name!);
  if (named && named.ID !== id) {
    throw new FleetError(
      "conflict",
      `name conflicts with an existing object: service ${spec.Name} already exists`,
    );
  }
}

function checkFiles(view: View, spec: ServiceSpec): void {
  const container = spec.TaskTemplate?.ContainerSpec;
  const lists = [
    ["secret", container?.Secrets?.map((ref) => [ref.SecretID, ref.SecretName])],
    ["config", container?.Configs?.map((ref) => [ref.ConfigID, ref.ConfigName])],
  ] as const;
  for (const [kind, references] of lists) {
    const missing = (references ?? []).filter(([id]) => !id || !view.get(kind, id));
    if (missing.length > 0) {
      const names = missing.map(([id, name]) => name ?? id ?? "").join(", ");
      const noun = missing.length === 1 ? kind : `${kind}s`;
      throw new FleetError("invalid", `${noun} not found: ${names}`);
    }
  }
}

function checkNetworks(view: View, spec: ServiceSpec): void {
  for (const { Target } of spec.TaskTemplate?.Networks ?? []) {
    const network = Target === undefined ? undefined : view.get("network", Target);
    if (!network) throw new FleetError("internal", `network ${Target ?? ""} not found`);
    if (network.Spec.Ingress) {
      throw new FleetError(
        "invalid",
        'Service cannot be explicitly attached to the ingress network "' + network.Spec.Name + '"',
      );
    }
  }
}

function warningsOf(spec: ServiceSpec): string[] {
  const warnings: string[] = [];
  const isolation = spec.TaskTemplate?.ContainerSpec?.Isolation;
  if (isolation && isolation !== "default") {
    warnings.push(`isolation "${isolation}" exists only on Windows; it is ignored`);
  }
  return warnings;
}
