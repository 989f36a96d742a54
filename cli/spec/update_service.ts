import { FleetError } from "../../src/base/errors.ts";
import type {
  NetworkAttachmentConfig,
  Placement,
  PortConfig,
  ServiceMode,
  ServiceSpec,
  TaskSpec,
} from "../../src/model/service_spec.ts";
import type { References, ResolvedReferences } from "./create_service.ts";
import { parseFileReference } from "./file_reference.ts";
import { changedList, changedRecord, changedStrings } from "./lists.ts";
import { parseNetworkAttachment } from "./network_attachment.ts";
import { toRecord } from "./pairs.ts";
import * as parts from "./parts.ts";
import { SOURCE_LABEL } from "../../src/model/port_source.ts";
import { parsePublish, sourceLabels } from "./publish.ts";
import type { UpdateFlags } from "./service_flags.ts";
import { updateContainer } from "./update_container.ts";

/** The names that `flags` refer to. @throws FleetError invalid */
export function updateReferencesOf(flags: UpdateFlags): References {
  const credential = flags.credentialSpec ? parts.credentialSpec(flags.credentialSpec) : {};
  return {
    networks: [
      ...(flags.networkAdd ?? []).map((text) => parseNetworkAttachment(text).Target ?? ""),
      ...(flags.networkRm ?? []),
    ],
    secrets: (flags.secretAdd ?? []).map((text) => parseFileReference("secret", text).source),
    configs: [
      ...(flags.configAdd ?? []).map((text) => parseFileReference("config", text).source),
      ...(credential.Config === undefined ? [] : [credential.Config]),
    ],
  };
}

/** `spec` as `service update [flags]` changes it: only what the flags name. @throws FleetError invalid */
export function updateServiceSpec(
  spec: ServiceSpec,
  flags: UpdateFlags,
  ids: ResolvedReferences,
): ServiceSpec {
  const { Networks: legacyNetworks, ...rest } = spec;
  const now = spec.TaskTemplate ?? {};
  const restart = parts.restartPolicy(flags, now.RestartPolicy);
  const task = parts.compact<TaskSpec>({
    ...now,
    ContainerSpec: updateContainer(now.ContainerSpec ?? {}, flags, ids),
    Resources: parts.resources(flags, genericResources(now, flags), now.Resources),
    RestartPolicy: parts.unlessEmpty(restart),
    Placement: placement(now.Placement, flags),
    Networks: networks(now.Networks ?? legacyNetworks, flags, ids),
    LogDriver: logDriver(now.LogDriver, flags),
    ForceUpdate: flags.force ? (now.ForceUpdate ?? 0) + 1 : now.ForceUpdate,
  });
  return parts.compact<ServiceSpec>({
    ...rest,
    Labels: changedRecord(
      withoutSources(spec, flags),
      { ...toRecord(flags.labelAdd), ...sourceLabels(flags.publishAdd ?? []) },
      flags.labelRm,
    ),
    TaskTemplate: task,
    Mode: mode(spec.Mode, flags),
    UpdateConfig: parts.updateConfig("update", flags, spec.UpdateConfig),
    RollbackConfig: parts.updateConfig("rollback", flags, spec.RollbackConfig),
    EndpointSpec: endpoint(spec.EndpointSpec, flags),
    Backoff: flags.restartBackoff ?? spec.Backoff,
  });
}

/** The mode with another count. @throws FleetError invalid for modes that have none */
export function withReplicas(mode: ServiceMode | undefined, replicas: number): ServiceMode {
  if (mode?.ReplicatedJob) {
    return { ReplicatedJob: { ...mode.ReplicatedJob, TotalCompletions: replicas } };
  }
  if (mode?.Global || mode?.GlobalJob) {
    throw new FleetError(
      "invalid",
      "only replicated services and jobs have a number of replicas; this one is global",
    );
  }
  return { Replicated: { Replicas: replicas } };
}

function mode(now: ServiceMode | undefined, flags: UpdateFlags): ServiceMode | undefined {
  const next = flags.replicas === undefined ? now : withReplicas(now, flags.replicas);
  if (flags.maxConcurrent === undefined) return next;
  if (!next?.ReplicatedJob) {
    throw new FleetError(
      "invalid",
      "--max-concurrent goes only with services of mode replicated-job",
    );
  }
  return { ReplicatedJob: { ...next.ReplicatedJob, MaxConcurrent: flags.maxConcurrent } };
}

function placement(now: Placement | undefined, flags: UpdateFlags): Placement | undefined {
  const some = <T>(list: readonly T[]) => list.length > 0 ? list : undefined;
  const remove = new Set(
    (flags.placementPrefRm ?? []).map((text) => JSON.stringify(parts.placementPreference(text))),
  );
  type Preference = NonNullable<Placement["Preferences"]>[number];
  const keyOf = (preference: Preference) =>
    `${JSON.stringify({ Spread: { SpreadDescriptor: preference.Spread?.SpreadDescriptor } })}`;
  return parts.unlessEmpty(parts.compact<Placement>({
    ...now,
    Constraints: some(changedStrings(now?.Constraints, flags.constraintAdd, flags.constraintRm)),
    Preferences: some(changedList<Preference>(
      now?.Preferences,
      (flags.placementPrefAdd ?? []).map(parts.placementPreference),
      (preference) => remove.has(keyOf(preference)),
      keyOf,
    )),
    MaxReplicas: flags.replicasMaxPerNode ?? now?.MaxReplicas,
  }));
}

function networks(
  now: readonly NetworkAttachmentConfig[] | undefined,
  flags: UpdateFlags,
  ids: ResolvedReferences,
): readonly NetworkAttachmentConfig[] | undefined {
  if (!flags.networkAdd && !flags.networkRm) return now;
  const remove = new Set((flags.networkRm ?? []).flatMap((name) => [name, ids.networks[name]]));
  const kept = (now ?? []).filter((attachment) => !remove.has(attachment.Target ?? ""));
  const added = (flags.networkAdd ?? []).map((text) => {
    const attachment = parseNetworkAttachment(text);
    const name = attachment.Target ?? "";
    const id = ids.networks[name] ?? name;
    if (kept.some((other) => other.Target === id || other.Target === name)) {
      throw new FleetError("invalid", `the service is already attached to network ${name}`);
    }
    return { ...attachment, Target: id };
  });
  return [...kept, ...added];
}

function genericResources(now: TaskSpec, flags: UpdateFlags) {
  const list = now.Resources?.Reservations?.GenericResources;
  if (!flags.genericResourceAdd && !flags.genericResourceRm) return list;
  const kindOf = (item: NonNullable<typeof list>[number]) =>
    item.DiscreteResourceSpec?.Kind ?? item.NamedResourceSpec?.Kind ?? "";
  const remove = (flags.genericResourceRm ?? []).map((text) => text.split("=", 1)[0]);
  return changedList(
    list,
    parts.genericResources(flags.genericResourceAdd ?? []),
    (item) => remove.includes(kindOf(item)),
    kindOf,
  );
}

function logDriver(
  now: TaskSpec["LogDriver"] | undefined,
  flags: UpdateFlags,
): TaskSpec["LogDriver"] | undefined {
  if (flags.logDriver === undefined && flags.logOpt === undefined) return now;
  if (flags.logDriver === "") return undefined;
  const name = flags.logDriver ?? now?.Name;
  return {
    ...(name === undefined ? {} : { Name: name }),
    ...(flags.logOpt ? { Options: toRecord(flags.logOpt) } : {}),
  };
}

function endpoint(now: ServiceSpec["EndpointSpec"], flags: UpdateFlags) {
  if (!flags.publishAdd && !flags.publishRm && flags.endpointMode === undefined) return now;
  return {
    ...now,
    ...(flags.endpointMode === undefined ? {} : { Mode: flags.endpointMode }),
    ...(flags.publishAdd || flags.publishRm ? { Ports: ports(now?.Ports, flags) } : {}),
  };
}

/** The labels but those of ports that are taken away: whoever publishes one again begins anew. */
function withoutSources({ Labels = {}, EndpointSpec }: ServiceSpec, flags: UpdateFlags) {
  const kept = keptPorts(EndpointSpec?.Ports, flags).map(({ PublishedPort }) => PublishedPort);
  const gone = (EndpointSpec?.Ports ?? []).map(({ PublishedPort }) => PublishedPort)
    .filter((port) => port !== undefined && !kept.includes(port));
  const stale = new Set(gone.map((port) => `${SOURCE_LABEL}.${port}`));
  return Object.fromEntries(Object.entries(Labels).filter(([label]) => !stale.has(label)));
}

/** What `--publish-rm` leaves. */
function keptPorts(now: readonly PortConfig[] | undefined, flags: UpdateFlags): PortConfig[] {
  let kept = [...now ?? []];
  for (const text of flags.publishRm ?? []) {
    for (const wanted of parsePublish(text)) {
      const same = (port: PortConfig) =>
        port.TargetPort === wanted.TargetPort && (port.Protocol ?? "tcp") === wanted.Protocol;
      const sameMode = (port: PortConfig) =>
        same(port) && (port.PublishMode ?? "ingress") === wanted.PublishMode;
      // The short form does not name a mode: it means the ingress port, or else the host's.
      const match = text.includes("mode=") || kept.some(sameMode) ? sameMode : same;
      kept = kept.filter((port) => !match(port));
    }
  }
  return kept;
}

function ports(now: readonly PortConfig[] | undefined, flags: UpdateFlags): PortConfig[] {
  const keyOf = (port: PortConfig) =>
    [
      port.PublishedPort ?? 0,
      port.TargetPort,
      port.Protocol ?? "tcp",
      port.PublishMode ?? "ingress",
    ]
      .join("/");
  return changedList(
    keptPorts(now, flags),
    (flags.publishAdd ?? []).flatMap(parsePublish),
    () => false,
    keyOf,
  );
}
