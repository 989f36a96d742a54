import type { ServiceSpec, TaskSpec } from "../../model/service_spec.ts";
import type { DesiredStack, NetworkRequest } from "./desired.ts";
import { specDifferences } from "./differences.ts";
import type { FieldChange } from "./differences.ts";
import { IMAGE_LABEL } from "./naming.ts";

/** When to ask the registry for the digest of an image. */
export type ResolveImage = "always" | "changed" | "never";

export interface ObservedService {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: ServiceSpec;
  /** Tasks that are to run now. */
  readonly tasks: number;
}

/** What there is in the cluster that has to do with the stack. */
export interface ObservedStack {
  readonly services: readonly ObservedService[];
  /** Names of the stack's networks that exist. */
  readonly networks: ReadonlySet<string>;
  /** Names by id of all networks: specs in the cluster target ids. */
  readonly networkNames: ReadonlyMap<string, string>;
  /** What happens to each secret and config: `secret NAME`, `config NAME`. */
  readonly files: ReadonlyMap<string, FileStep>;
  /** Their ids, in the same words: a service may still have an old version, after a roll-back. */
  readonly fileIds: ReadonlyMap<string, string>;
}

/** What a deployment does with one secret or config. */
export type FileStep = "create" | "rotate" | "labels" | "none";

export interface ServicePlan {
  readonly name: string;
  readonly step: "create" | "update" | "none";
  readonly spec: ServiceSpec;
  readonly current?: ObservedService;
  readonly changes: readonly FieldChange[];
  /** Tasks that run now and are replaced. */
  readonly replaces: number;
  /** Whether the registry is asked for the image's digest. */
  readonly resolveImage: boolean;
  /** The spec with the image as it runs, where the file names the same: for when no registry answers. */
  readonly asItRuns?: ServiceSpec;
}

export interface StackPlan {
  readonly createNetworks: readonly NetworkRequest[];
  readonly files: readonly { kind: "secret" | "config"; name: string; step: FileStep }[];
  readonly services: readonly ServicePlan[];
  /** Services that are not in the file any more: removed with --prune only. */
  readonly gone: readonly ObservedService[];
}

/** The difference between a stack's files and what there is. */
export function planStack(
  desired: DesiredStack,
  observed: ObservedStack,
  resolveImage: ResolveImage,
): StackPlan {
  const current = new Map(observed.services.map((service) => [service.Spec.Name ?? "", service]));
  const wanted = new Set(desired.services.map((spec) => spec.Name ?? ""));
  return {
    createNetworks: desired.networks.filter(({ Name }) => !observed.networks.has(Name)),
    files: desired.files.map(({ kind, name }) => ({
      kind,
      name,
      step: observed.files.get(`${kind} ${name}`) ?? "create",
    })),
    services: desired.services.map((spec) =>
      planService(spec, current.get(spec.Name ?? ""), observed, resolveImage)
    ),
    gone: observed.services.filter(({ Spec }) => !wanted.has(Spec.Name ?? "")),
  };
}

function planService(
  wanted: ServiceSpec,
  current: ObservedService | undefined,
  observed: ObservedStack,
  resolveImage: ResolveImage,
): ServicePlan {
  const name = wanted.Name ?? "";
  if (!current) {
    return {
      name,
      step: "create",
      spec: wanted,
      changes: [],
      replaces: 0,
      resolveImage: resolveImage !== "never",
    };
  }
  const sameImage = current.Spec.Labels?.[IMAGE_LABEL] === wanted.Labels?.[IMAGE_LABEL];
  const keepImage = sameImage && resolveImage !== "always";
  return compared({
    name,
    step: "none",
    spec: continued(wanted, current.Spec, keepImage),
    current,
    changes: [],
    replaces: 0,
    resolveImage: resolveImage === "always" || (resolveImage === "changed" && !sameImage),
    ...(sameImage ? { asItRuns: continued(wanted, current.Spec, true) } : {}),
  }, observed);
}

/**
 * The plan once the registry was asked: `spec` with the digest that it named. Without an answer an image
 * that the file has not changed stays as it runs, so that nothing is replaced for want of a registry.
 */
export function withResolvedImage(
  plan: ServicePlan,
  spec: ServiceSpec,
  observed: ObservedStack,
): ServicePlan {
  const answered = spec.TaskTemplate?.ContainerSpec?.Image?.includes("@") ?? false;
  return compared({ ...plan, spec: answered ? spec : plan.asItRuns ?? spec }, observed);
}

function compared(plan: ServicePlan, observed: ObservedStack): ServicePlan {
  const { current, spec } = plan;
  if (!current) return plan;
  const changes = [
    ...specDifferences(byName(current.Spec, observed), byName(spec, observed)),
    ...rotated(spec, observed),
  ];
  const replaced = changes.some((change) => change.replaces);
  return {
    ...plan,
    step: changes.length > 0 ? "update" : "none",
    changes,
    replaces: replaced ? current.tasks : 0,
  };
}

/** What a file does not say and a service keeps: its count of forced updates, and its pinned image. */
function continued(wanted: ServiceSpec, current: ServiceSpec, keepImage: boolean): ServiceSpec {
  const [task, now] = [wanted.TaskTemplate ?? {}, current.TaskTemplate ?? {}];
  const platforms = now.Placement?.Platforms;
  const next: TaskSpec = { ...task, ForceUpdate: now.ForceUpdate ?? 0 };
  if (!keepImage) return { ...wanted, TaskTemplate: next };
  return {
    ...wanted,
    TaskTemplate: {
      ...next,
      ContainerSpec: {
        ...task.ContainerSpec,
        ...(now.ContainerSpec?.Image === undefined ? {} : { Image: now.ContainerSpec.Image }),
      },
      Placement: { ...task.Placement, ...(platforms ? { Platforms: platforms } : {}) },
    },
  };
}

/** Networks by name, and files without their ids, which the name and its version stand for. */
function byName(spec: ServiceSpec, { networkNames, fileIds }: ObservedStack): ServiceSpec {
  const versioned = (kind: string, name = "", id = "") => {
    const current = fileIds.get(`${kind} ${name}`);
    return id === "" || current === undefined || id === current ? name : `${name} (old version)`;
  };
  const task = spec.TaskTemplate ?? {};
  const { CredentialSpec, ...privileges } = task.ContainerSpec?.Privileges ?? {};
  const { Config: _, ...credentials } = CredentialSpec ?? {};
  const networks = task.Networks?.map(({ Target = "", ...rest }) => ({
    ...rest,
    Target: networkNames.get(Target) ?? Target,
  })).sort((a, b) => a.Target < b.Target ? -1 : 1);
  return {
    ...spec,
    TaskTemplate: {
      ...task,
      ...(networks ? { Networks: networks } : {}),
      ContainerSpec: {
        ...task.ContainerSpec,
        Privileges: { ...privileges, CredentialSpec: credentials },
        Secrets: (task.ContainerSpec?.Secrets ?? []).map(({ SecretID, SecretName, ...rest }) => ({
          ...rest,
          SecretName: versioned("secret", SecretName, SecretID),
        })),
        Configs: (task.ContainerSpec?.Configs ?? []).map(({ ConfigID, ConfigName, ...rest }) => ({
          ...rest,
          ConfigName: versioned("config", ConfigName, ConfigID),
        })),
      },
    },
  };
}

function rotated(spec: ServiceSpec, observed: ObservedStack): FieldChange[] {
  const container = spec.TaskTemplate?.ContainerSpec;
  const names = [
    ...(container?.Secrets ?? []).map((use) => `secret ${use.SecretName}`),
    ...(container?.Configs ?? []).map((use) => `config ${use.ConfigName}`),
  ];
  return names.filter((name) => observed.files.get(name) === "rotate").map((name) => ({
    field: name,
    before: "",
    after: "new content",
    replaces: true,
  }));
}
