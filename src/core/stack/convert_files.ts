import type { ConfigReference, SecretReference } from "../../model/container_spec.ts";
import { nameOf } from "./naming.ts";
import type { FileEntry, FileUse, ServiceEntry, StackFile } from "./stack_file.ts";

const DEFAULT_MODE = 0o444;

/** A service's references to secrets and configs, by name; ids are not known yet. */
export function convertFiles(
  stack: string,
  entry: ServiceEntry,
  file: StackFile,
): { Secrets: SecretReference[]; Configs: ConfigReference[] } {
  const secrets = (entry.secrets ?? []).map((use) => ({
    File: target(use),
    SecretName: nameOf(stack, use.source, file.secrets[use.source]),
  }));
  const configs: ConfigReference[] = (entry.configs ?? []).map((use) => ({
    File: target(use),
    ConfigName: nameOf(stack, use.source, file.configs[use.source]),
  }));
  const credentials = entry.credential_spec?.config;
  if (credentials !== undefined) {
    // For the engine, not for the program: no file.
    configs.push({
      Runtime: {},
      ConfigName: nameOf(stack, credentials, file.configs[credentials]),
    });
  }
  return {
    Secrets: secrets.sort((a, b) => a.SecretName < b.SecretName ? -1 : 1),
    Configs: configs.sort((a, b) => (a.ConfigName ?? "") < (b.ConfigName ?? "") ? -1 : 1),
  };
}

function target(use: FileUse) {
  return {
    Name: use.target ?? use.source,
    UID: use.uid ?? "0",
    GID: use.gid ?? "0",
    Mode: use.mode ?? DEFAULT_MODE,
  };
}

/** A secret or config that a deployment creates, before its data is read. */
export interface FileRequest {
  readonly kind: "secret" | "config";
  readonly name: string;
  readonly entry: FileEntry;
}
