import { FleetError } from "../../src/base/errors.ts";
import type { ConfigReference, SecretReference } from "../../src/model/container_spec.ts";
import { parseMode } from "./mount.ts";
import { needValue, parseFields } from "./pairs.ts";

/** A secret or config as it is asked for on the command line, before its id is known. */
export interface FileReference {
  readonly source: string;
  readonly target: string;
  readonly uid: string;
  readonly gid: string;
  readonly mode: number;
}

const DEFAULT_MODE = 0o444;

/** `name` or `source=…,target=…,uid=…,gid=…,mode=…`. @throws FleetError invalid */
export function parseFileReference(kind: "secret" | "config", text: string): FileReference {
  const fields = parseFields(text);
  const only = fields.length === 1 ? fields[0] : undefined;
  const result = { source: "", target: "", uid: "0", gid: "0", mode: DEFAULT_MODE };
  // A bare name keeps its case; only keys of the long syntax do not.
  if (only && only.value === undefined) result.source = text.trim();
  else {
    for (const { key, value } of fields) {
      const given = needValue(`${kind} "${text}"`, key, value);
      if (key === "source" || key === "src") result.source = given;
      else if (key === "target") result.target = given;
      else if (key === "uid" || key === "gid") result[key] = given;
      else if (key === "mode") result.mode = parseMode(given);
      else throw new FleetError("invalid", `${kind} "${text}": unknown field "${key}"`);
    }
  }
  if (result.source === "") {
    throw new FleetError("invalid", `${kind} "${text}": source is required`);
  }
  return { ...result, target: result.target || result.source };
}

/** Ids by name, as the cluster answered. */
export type Ids = Readonly<Record<string, string>>;

export function secretReference(file: FileReference, ids: Ids): SecretReference {
  return {
    File: fileTarget(file),
    SecretID: idOf("secret", file.source, ids),
    SecretName: file.source,
  };
}

export function configReference(file: FileReference, ids: Ids): ConfigReference {
  return {
    File: fileTarget(file),
    ConfigID: idOf("config", file.source, ids),
    ConfigName: file.source,
  };
}

function fileTarget(file: FileReference) {
  return { Name: file.target, UID: file.uid, GID: file.gid, Mode: file.mode };
}

function idOf(kind: string, name: string, ids: Ids): string {
  const id = ids[name];
  if (id === undefined) throw new FleetError("not-found", `${kind} not found: ${name}`);
  return id;
}
