import type {
  ConfigReference,
  ContainerSpec,
  SecretReference,
} from "../../src/model/container_spec.ts";
import { updateCapabilities } from "../../src/model/capabilities.ts";
import type { ResolvedReferences } from "./create_service.ts";
import { configReference, parseFileReference, secretReference } from "./file_reference.ts";
import { taggedImage } from "../../src/model/tagged_image.ts";
import { changedList, changedRecord, changedStrings } from "./lists.ts";
import { withHostAccess } from "./host_access.ts";
import { parseMount } from "./mount.ts";
import { parsePair, toRecord } from "./pairs.ts";
import * as parts from "./parts.ts";
import type { UpdateFlags } from "./service_flags.ts";
import { shellWords } from "../../src/base/shell_words.ts";
import { parseUlimit } from "./ulimit.ts";

/** The container part of `service update`. @throws FleetError invalid */
export function updateContainer(
  now: ContainerSpec,
  flags: UpdateFlags,
  ids: ResolvedReferences,
): ContainerSpec {
  const capabilities = flags.capAdd || flags.capDrop
    ? updateCapabilities(
      { add: now.CapabilityAdd ?? [], drop: now.CapabilityDrop ?? [] },
      flags.capAdd,
      flags.capDrop,
    )
    : { add: now.CapabilityAdd ?? [], drop: now.CapabilityDrop ?? [] };
  const some = <T>(list: readonly T[]) => list.length > 0 ? list : undefined;
  const words = (line: string | undefined, current: readonly string[] | undefined) =>
    line === undefined ? current : some(shellWords(line));
  const nameOf = (entry: string) => entry.split("=", 1)[0] ?? "";
  return parts.compact<ContainerSpec>({
    ...now,
    ...parts.containerFields(flags),
    Image: flags.image === undefined ? now.Image : taggedImage(flags.image),
    Args: words(flags.args, now.Args),
    Command: words(flags.entrypoint, now.Command),
    Labels: withHostAccess(
      flags.containerLabelAdd || flags.containerLabelRm
        ? changedRecord(now.Labels, toRecord(flags.containerLabelAdd), flags.containerLabelRm)
        : now.Labels,
      flags,
    ),
    Env: some(changedList(
      now.Env,
      flags.envAdd ?? [],
      (entry) => flags.envRm?.includes(nameOf(entry)) ?? false,
      nameOf,
    )),
    Groups: some(changedStrings(now.Groups, flags.groupAdd, flags.groupRm)),
    Mounts: some(changedList(
      now.Mounts,
      (flags.mountAdd ?? []).map(parseMount),
      (mount) => flags.mountRm?.includes(mount.Target ?? "") ?? false,
      (mount) => mount.Target ?? "",
    )),
    Healthcheck: parts.healthcheck(flags, now.Healthcheck),
    Hosts: some(changedStrings(
      (now.Hosts ?? []).filter((entry) => !(flags.hostRm ?? []).some((rm) => isHost(entry, rm))),
      flags.hostAdd?.map(parts.hostEntry),
      undefined,
    )),
    DNSConfig: dns(now.DNSConfig, flags),
    Secrets: some(secrets(now.Secrets, flags, ids)),
    Configs: some(configs(now.Configs, flags, ids)),
    Privileges: privileges(now.Privileges, flags, ids),
    Sysctls: flags.sysctlAdd || flags.sysctlRm
      ? parts.unlessEmpty(changedRecord(
        now.Sysctls,
        Object.fromEntries((flags.sysctlAdd ?? []).map(parsePair)),
        flags.sysctlRm?.map(nameOf),
      ))
      : now.Sysctls,
    CapabilityAdd: some(capabilities.add),
    CapabilityDrop: some(capabilities.drop),
    Ulimits: some(changedList<NonNullable<ContainerSpec["Ulimits"]>[number]>(
      now.Ulimits,
      (flags.ulimitAdd ?? []).map(parseUlimit),
      (limit) => flags.ulimitRm?.map(nameOf).includes(limit.Name ?? "") ?? false,
      (limit) => limit.Name ?? "",
    )),
  });
}

/** Whether the entry `address name…` is the one that `name` or `name:address` means. */
function isHost(entry: string, wanted: string): boolean {
  const [address, ...names] = entry.split(/\s+/);
  if (names.includes(wanted)) return true;
  const at = wanted.search(/[:=]/);
  return at > 0 && names.includes(wanted.slice(0, at)) && address === wanted.slice(at + 1);
}

function dns(now: ContainerSpec["DNSConfig"], flags: UpdateFlags): ContainerSpec["DNSConfig"] {
  const config = {
    Nameservers: changedStrings(now?.Nameservers, flags.dnsAdd, flags.dnsRm),
    Search: changedStrings(now?.Search, flags.dnsSearchAdd, flags.dnsSearchRm),
    Options: changedStrings(now?.Options, flags.dnsOptionAdd, flags.dnsOptionRm),
  };
  const filled = Object.fromEntries(Object.entries(config).filter(([, list]) => list.length > 0));
  return parts.unlessEmpty(filled);
}

function secrets(
  now: readonly SecretReference[] | undefined,
  flags: UpdateFlags,
  ids: ResolvedReferences,
): SecretReference[] {
  return changedList(
    now,
    (flags.secretAdd ?? []).map((text) =>
      secretReference(parseFileReference("secret", text), ids.secrets)
    ),
    (secret) => flags.secretRm?.includes(secret.SecretName ?? "") ?? false,
    (secret) => secret.File?.Name ?? "",
  );
}

function configs(
  now: readonly ConfigReference[] | undefined,
  flags: UpdateFlags,
  ids: ResolvedReferences,
): ConfigReference[] {
  const keyOf = (config: ConfigReference) => config.File?.Name ?? `runtime ${config.ConfigID}`;
  const added = (flags.configAdd ?? []).map((text) =>
    configReference(parseFileReference("config", text), ids.configs)
  );
  const credential = flags.credentialSpec ? parts.credentialSpec(flags.credentialSpec) : {};
  if (credential.Config !== undefined) {
    added.push({
      ConfigID: ids.configs[credential.Config] ?? "",
      ConfigName: credential.Config,
      Runtime: {},
    });
  }
  return changedList(
    now,
    added,
    (config) =>
      (flags.configRm?.includes(config.ConfigName ?? "") ?? false) ||
      (flags.credentialSpec !== undefined && config.Runtime !== undefined),
    keyOf,
  );
}

function privileges(
  now: ContainerSpec["Privileges"],
  flags: UpdateFlags,
  ids: ResolvedReferences,
): ContainerSpec["Privileges"] {
  if (flags.credentialSpec === undefined) return now;
  const { CredentialSpec: _, ...rest } = now ?? {};
  if (flags.credentialSpec === "") return rest;
  const spec = parts.credentialSpec(flags.credentialSpec);
  if (spec.Config !== undefined) spec.Config = ids.configs[spec.Config] ?? "";
  return { ...rest, CredentialSpec: spec };
}
