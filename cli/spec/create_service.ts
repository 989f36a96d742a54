import { FleetError } from "../../src/base/errors.ts";
import type { ContainerSpec } from "../../src/model/container_spec.ts";
import type {
  Placement,
  ServiceMode,
  ServiceSpec,
  TaskSpec,
} from "../../src/model/service_spec.ts";
import { createCapabilities } from "../../src/model/capabilities.ts";
import { taggedImage } from "../../src/model/tagged_image.ts";
import { configReference, parseFileReference, secretReference } from "./file_reference.ts";
import type { Ids } from "./file_reference.ts";
import { withHostAccess } from "./host_access.ts";
import { parseMount } from "./mount.ts";
import { parseNetworkAttachment } from "./network_attachment.ts";
import { parsePair, toRecord } from "./pairs.ts";
import * as parts from "./parts.ts";
import { parsePublish, sourceLabels } from "./publish.ts";
import type { CreateFlags } from "./service_flags.ts";
import { shellWords } from "../../src/base/shell_words.ts";
import { parseUlimit } from "./ulimit.ts";

/** What has to be looked up in the cluster before a spec can be complete. */
export interface References {
  readonly networks: readonly string[];
  readonly secrets: readonly string[];
  readonly configs: readonly string[];
}

/** The ids of the names in {@link References}. */
export interface ResolvedReferences {
  readonly networks: Ids;
  readonly secrets: Ids;
  readonly configs: Ids;
}

/** The names that `flags` refer to. @throws FleetError invalid */
export function referencesOf(flags: CreateFlags): References {
  const credential = flags.credentialSpec === undefined
    ? {}
    : parts.credentialSpec(flags.credentialSpec);
  return {
    networks: (flags.network ?? []).map((text) => parseNetworkAttachment(text).Target ?? ""),
    secrets: (flags.secret ?? []).map((text) => parseFileReference("secret", text).source),
    configs: [
      ...(flags.config ?? []).map((text) => parseFileReference("config", text).source),
      ...(credential.Config === undefined ? [] : [credential.Config]),
    ],
  };
}

/**
 * The spec of `service create [flags] IMAGE [COMMAND] [ARG…]`; `args` are all after the image.
 * `environment` holds the variables of `--env-file` and `--env`, resolved. @throws FleetError invalid
 */
export function createServiceSpec(
  flags: CreateFlags,
  image: string,
  args: readonly string[],
  environment: readonly string[],
  ids: ResolvedReferences,
): ServiceSpec {
  checkModeFlags(flags);
  const restart = parts.restartPolicy(flags);
  const task = parts.compact<TaskSpec>({
    ContainerSpec: containerSpec(flags, image, args, environment, ids),
    Resources: parts.resources(
      flags,
      flags.genericResource && parts.genericResources(flags.genericResource),
    ),
    RestartPolicy: parts.unlessEmpty(restart),
    Placement: placement(flags),
    Networks: flags.network?.map((text) => {
      const attachment = parseNetworkAttachment(text);
      const name = attachment.Target ?? "";
      return { ...attachment, Target: ids.networks[name] ?? name };
    }),
    LogDriver: logDriver(flags),
  });
  const ports = (flags.publish ?? []).flatMap(parsePublish);
  return parts.compact<ServiceSpec>({
    Name: flags.name,
    Labels: { ...toRecord(flags.label), ...sourceLabels(flags.publish ?? []) },
    TaskTemplate: task,
    Mode: serviceMode(flags),
    UpdateConfig: parts.updateConfig("update", flags, undefined),
    RollbackConfig: parts.updateConfig("rollback", flags, undefined),
    EndpointSpec: {
      Mode: flags.endpointMode ?? "vip",
      ...(ports.length > 0 ? { Ports: ports } : {}),
    },
    Backoff: flags.restartBackoff,
  });
}

/** The environment with one entry per name: the last one, where it stands. */
export function mergedEnvironment(entries: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of entries) {
    const name = entry.split("=", 1)[0] ?? "";
    byName.delete(name);
    byName.set(name, entry);
  }
  return [...byName.values()];
}

function containerSpec(
  flags: CreateFlags,
  image: string,
  args: readonly string[],
  environment: readonly string[],
  ids: ResolvedReferences,
): ContainerSpec {
  const capabilities = createCapabilities(flags.capAdd, flags.capDrop);
  const credential = flags.credentialSpec === undefined
    ? undefined
    : parts.credentialSpec(flags.credentialSpec);
  const configs = (flags.config ?? []).map((text) =>
    configReference(parseFileReference("config", text), ids.configs)
  );
  if (credential?.Config !== undefined) {
    // The engine takes the spec from a config that the service has for this purpose only.
    const id = ids.configs[credential.Config] ?? "";
    configs.push({ ConfigID: id, ConfigName: credential.Config, Runtime: {} });
    credential.Config = id;
  }
  const secrets = (flags.secret ?? []).map((text) =>
    secretReference(parseFileReference("secret", text), ids.secrets)
  );
  const some = <T>(list: readonly T[] | undefined) => list?.length ? list : undefined;
  return parts.compact<ContainerSpec>({
    Image: taggedImage(image),
    Labels: withHostAccess(flags.containerLabel && toRecord(flags.containerLabel), flags),
    Command: flags.entrypoint === undefined ? undefined : shellWords(flags.entrypoint),
    Args: some(args),
    Env: some(mergedEnvironment(environment)),
    ...parts.containerFields(flags),
    Groups: some(flags.group),
    Privileges: credential && { CredentialSpec: credential },
    Mounts: some(flags.mount?.map(parseMount)),
    Healthcheck: parts.healthcheck(flags, undefined),
    Hosts: some(flags.host?.map(parts.hostEntry)),
    DNSConfig: parts.unlessEmpty(parts.compact({
      Nameservers: some(flags.dns),
      Search: some(flags.dnsSearch),
      Options: some(flags.dnsOption),
    })),
    Secrets: some(secrets),
    Configs: some(configs),
    Sysctls: flags.sysctl && Object.fromEntries(flags.sysctl.map(parsePair)),
    CapabilityAdd: some(capabilities.add),
    CapabilityDrop: some(capabilities.drop),
    Ulimits: some(flags.ulimit?.map(parseUlimit)),
  });
}

function placement(flags: CreateFlags): Placement | undefined {
  return parts.unlessEmpty(parts.compact<Placement>({
    Constraints: flags.constraint,
    Preferences: flags.placementPref?.map(parts.placementPreference),
    MaxReplicas: flags.replicasMaxPerNode,
  }));
}

function logDriver(flags: CreateFlags): TaskSpec["LogDriver"] | undefined {
  if (flags.logDriver === undefined && flags.logOpt === undefined) return undefined;
  return {
    ...(flags.logDriver === undefined ? {} : { Name: flags.logDriver }),
    ...(flags.logOpt ? { Options: toRecord(flags.logOpt) } : {}),
  };
}

function checkModeFlags(flags: CreateFlags): void {
  const mode = flags.mode ?? "replicated";
  const only = (flag: string, given: unknown, ...modes: string[]) => {
    if (given !== undefined && !modes.includes(mode)) {
      throw new FleetError(
        "invalid",
        `--${flag} goes only with --mode ${modes.join(" or ")}, not with ${mode}`,
      );
    }
  };
  only("replicas", flags.replicas, "replicated", "replicated-job");
  only("replicas-max-per-node", flags.replicasMaxPerNode, "replicated", "replicated-job");
  only("max-concurrent", flags.maxConcurrent, "replicated-job");
}

function serviceMode(flags: CreateFlags): ServiceMode {
  switch (flags.mode ?? "replicated") {
    case "global":
      return { Global: {} };
    case "global-job":
      return { GlobalJob: {} };
    case "replicated-job": {
      const total = flags.replicas ?? 1;
      return {
        ReplicatedJob: { MaxConcurrent: flags.maxConcurrent ?? total, TotalCompletions: total },
      };
    }
    default:
      return { Replicated: flags.replicas === undefined ? {} : { Replicas: flags.replicas } };
  }
}
