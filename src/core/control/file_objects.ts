import { FleetError } from "../../base/errors.ts";
import { checkFileObjectName } from "../../model/names.ts";
import type { Secret, SecretSpec } from "../../model/secret.ts";
import type { Config, ConfigSpec } from "../../model/config.ts";
import type { View } from "../../model/view.ts";
import type { ControlContext } from "./context.ts";
import { find, findVersion } from "./lookup.ts";

/** Bounds of SwarmKit: data of a secret is below 500 KiB, of a config below 1,000 KiB. */
const MAX_BYTES = { secret: 500 * 1024, config: 1000 * 1024 } as const;
type Kind = keyof typeof MAX_BYTES;

export function createFileObject(
  { tx, newId }: ControlContext,
  kind: Kind,
  spec: SecretSpec | ConfigSpec,
): { id: string } {
  checkFileObjectName(kind, spec.Name);
  const driver = kind === "secret" ? (spec as SecretSpec).Driver : undefined;
  if (driver) {
    if (!driver.Name) throw new FleetError("invalid", "secret driver must have a name");
    // Docker's answer where the plugin is not installed; fleet runs none.
    throw new FleetError("internal", `plugin "${driver.Name}" not found`);
  } else checkData(kind, spec.Data ?? "");
  const templating = spec.Templating?.Name;
  if (templating && templating !== "golang") {
    throw new FleetError("invalid", `unsupported template driver "${templating}"; use golang`);
  }
  if (tx.byName(kind, spec.Name!)) {
    throw new FleetError("conflict", `${kind} ${spec.Name} already exists`);
  }
  const id = newId();
  tx.create(kind, { ID: id, Spec: { ...spec, Labels: spec.Labels ?? {} } });
  return { id };
}

/** @throws FleetError invalid */
export function checkData(kind: Kind, data: string): void {
  const bytes = Math.floor(data.length * 3 / 4) -
    (data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(data)) {
    throw new FleetError("invalid", `${kind} data must be base64`);
  }
  if (bytes < 1 || bytes >= MAX_BYTES[kind]) {
    throw new FleetError(
      "invalid",
      `${kind} data must be larger than 0 and less than ${MAX_BYTES[kind]} bytes`,
    );
  }
}

/** Only labels can change: who uses the data would otherwise run with two versions of it. */
export function updateFileObject(
  { tx }: ControlContext,
  kind: Kind,
  args: { id: string; version: number; spec: SecretSpec | ConfigSpec },
): null {
  const object = findVersion(tx, kind, args.id, args.version) as Secret | Config;
  const { spec } = args;
  const same = (spec.Name ?? "") === (object.Spec.Name ?? "") &&
    (spec.Data === undefined || spec.Data === object.Spec.Data);
  if (!same) throw new FleetError("invalid", "only updates to Labels are allowed");
  tx.update(kind, { ...object, Spec: { ...object.Spec, Labels: spec.Labels ?? {} } });
  return null;
}

export function removeFileObject({ tx }: ControlContext, kind: Kind, id: string): null {
  const object = find(tx, kind, id);
  const users = usersOf(tx, kind, id);
  if (users.length > 0) {
    const noun = users.length === 1 ? "service" : "services";
    throw new FleetError(
      "invalid",
      `${kind} '${object.Spec.Name}' is in use by the following ${noun}: ${users.join(", ")}`,
    );
  }
  tx.remove(kind, id);
  return null;
}

/** Names of the services that reference a secret or config, sorted. */
export function usersOf(view: View, kind: Kind, id: string): string[] {
  const users: string[] = [];
  for (const service of view.all("service")) {
    const container = service.Spec.TaskTemplate?.ContainerSpec;
    const uses = kind === "secret"
      ? container?.Secrets?.some((ref) => ref.SecretID === id)
      : container?.Configs?.some((ref) => ref.ConfigID === id);
    if (uses) users.push(service.Spec.Name ?? service.ID);
  }
  return users.sort();
}
