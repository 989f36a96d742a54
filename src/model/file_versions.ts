import type { Config } from "./config.ts";
import type { ContainerSpec } from "./container_spec.ts";
import type { Secret } from "./secret.ts";
import type { ServiceSpec } from "./service_spec.ts";

/** Secrets and configs, which are the same but for a few words. */
export type FileKind = "secret" | "config";

/** On an old version: the id of the one that took its name. */
export const SUPERSEDED_LABEL = "io.fleet.superseded-by";

export function isSuperseded(object: Secret | Config): boolean {
  return object.Spec.Labels?.[SUPERSEDED_LABEL] !== undefined;
}

/** Ids of all secrets or configs that a container is given. */
export function fileIds(spec: ContainerSpec | undefined, kind: FileKind): string[] {
  const ids = kind === "secret"
    ? (spec?.Secrets ?? []).map((use) => use.SecretID)
    : (spec?.Configs ?? []).map((use) => use.ConfigID);
  return ids.filter((id) => id !== undefined);
}

/** `spec` with one version in the place of another; `spec` itself where it does not use that one. */
export function withVersions(
  spec: ServiceSpec,
  kind: FileKind,
  oldId: string,
  newId: string,
): ServiceSpec {
  const container = spec.TaskTemplate?.ContainerSpec;
  if (!container || !fileIds(container, kind).includes(oldId)) return spec;
  const credentials = container.Privileges?.CredentialSpec;
  const next: ContainerSpec = kind === "secret"
    ? {
      ...container,
      Secrets: (container.Secrets ?? []).map((use) =>
        use.SecretID === oldId ? { ...use, SecretID: newId } : use
      ),
    }
    : {
      ...container,
      Configs: (container.Configs ?? []).map((use) =>
        use.ConfigID === oldId ? { ...use, ConfigID: newId } : use
      ),
      ...(credentials?.Config === oldId
        ? {
          Privileges: {
            ...container.Privileges,
            CredentialSpec: { ...credentials, Config: newId },
          },
        }
        : {}),
    };
  return { ...spec, TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: next } };
}
