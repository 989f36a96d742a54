import { FleetError } from "../../base/errors.ts";
import type { Config } from "../../model/config.ts";
import { SUPERSEDED_LABEL, withVersions } from "../../model/file_versions.ts";
import type { FileKind } from "../../model/file_versions.ts";
import { isJobMode, modeOf } from "../../model/service.ts";
import type { Secret } from "../../model/secret.ts";
import type { ControlContext } from "./context.ts";
import { checkData } from "./file_objects.ts";
import { findVersion } from "./lookup.ts";
import type { ControlArgs, ControlResult } from "./methods.ts";
import { storeNewSpec } from "./services.ts";

/** Longest name of a secret or config. */
const MAX_NAME = 64;
/** Base64 of the old and the new version together: both are written in one entry of the log. */
const MAX_TOGETHER = 1.4 * 1024 * 1024;

/**
 * A new version of a secret or config under its name. The old one is kept as `NAME.vN` for the tasks that
 * run with it and goes when nothing refers to it any more. Services that use it roll to the new one, all
 * in one change; `except` are those that the caller updates itself. Data that is the same changes nothing.
 */
export function rotateFileObject(
  context: ControlContext,
  kind: FileKind,
  args: ControlArgs<"secret.rotate">,
): ControlResult<"secret.rotate"> {
  const { tx, newId } = context;
  const old = findVersion(tx, kind, args.id, args.version) as Secret | Config;
  const name = old.Spec.Name ?? "";
  if (old.Spec.Labels?.[SUPERSEDED_LABEL] !== undefined) {
    throw new FleetError("invalid", `${kind} ${name} is an old version: update the current one`);
  }
  if (kind === "secret" && (old as Secret).Spec.Driver) {
    throw new FleetError("invalid", `the data of secret ${name} is in the hands of its driver`);
  }
  checkData(kind, args.data);
  if (args.data === old.Spec.Data) return { id: old.ID, services: [] };
  if (args.data.length + (old.Spec.Data ?? "").length > MAX_TOGETHER) {
    throw new FleetError(
      "invalid",
      `${kind} ${name}: the old and the new version together are too large for one change; create it under a new name`,
    );
  }
  const id = newId();
  const labels = args.labels ?? old.Spec.Labels ?? {};
  tx.update(kind, {
    ...old,
    Spec: {
      ...old.Spec,
      Name: oldName(context, kind, name),
      Labels: { ...old.Spec.Labels, [SUPERSEDED_LABEL]: id },
    },
  });
  tx.create(kind, { ID: id, Spec: { ...old.Spec, Name: name, Labels: labels, Data: args.data } });
  const services: string[] = [];
  for (const service of [...tx.all("service")].sort((a, b) => a.ID < b.ID ? -1 : 1)) {
    if (args.except.includes(service.ID) || service.PendingDelete) continue;
    const spec = withVersions(service.Spec, kind, old.ID, id);
    if (spec === service.Spec) continue;
    // A job that is done is not run again for it; its next run has the new version.
    if (isJobMode(modeOf(spec))) tx.update("service", { ...service, Spec: spec });
    else storeNewSpec(context, service, spec);
    services.push(service.Spec.Name ?? service.ID);
  }
  return { id, services: services.sort() };
}

/** The first of `NAME.v1`, `NAME.v2` … that is free. */
function oldName({ tx }: ControlContext, kind: FileKind, name: string): string {
  for (let version = 1;; version++) {
    const suffix = `.v${version}`;
    const candidate = name.slice(0, MAX_NAME - suffix.length) + suffix;
    if (!tx.byName(kind, candidate)) return candidate;
  }
}
