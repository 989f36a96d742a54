import type { Cursor } from "./cursor.ts";
import { checkedEntries } from "./keys.ts";
import { absolutePath, folderOf } from "./paths.ts";
import type { Places } from "./paths.ts";
import type { StackFile } from "./stack_file.ts";

/** Files within files. */
export const MAX_INCLUDES = 16;

/** One entry of `include`: a project of its own, whose paths lead from its own folder. */
export interface Include {
  readonly at: Cursor;
  /** Absolute; the later ones are merged over the first. */
  readonly paths: readonly string[];
  readonly folder: string;
  /** Variables that are not set here have the values of these; absolute. */
  readonly envFiles: readonly string[];
}

/** @throws FleetError invalid, with file and line */
export function readIncludes(at: Cursor, places: Places): Include[] {
  return at.items().map((entry) => {
    let [paths, envFiles] = [[] as string[], [] as string[]];
    let folder: string | undefined;
    if (entry.isMap) {
      for (const [key, value] of checkedEntries(entry, KEYS)) {
        if (key === "path") paths = pathsOf(value, places);
        else if (key === "env_file") envFiles = pathsOf(value, places);
        else folder = absolutePath(value.text(), places);
      }
    } else paths = [absolutePath(entry.text(), places)];
    const [first] = paths;
    if (first === undefined) return entry.fail("names no path");
    return { at: entry, paths, folder: folder ?? folderOf(first), envFiles };
  });
}

const KEYS = { known: ["path", "project_directory", "env_file"] };

function pathsOf(at: Cursor, places: Places): string[] {
  const items = at.isList ? at.items() : [at];
  return items.map((item) => absolutePath(item.text(), places));
}

const SECTIONS = ["services", "networks", "volumes", "secrets", "configs"] as const;

/** Both files' declarations. What both have must be the same. @throws FleetError invalid */
export function withIncluded(own: StackFile, included: StackFile, at: Cursor): StackFile {
  const out: Record<string, unknown> = { ...own };
  for (const section of SECTIONS) {
    for (const [name, entry] of Object.entries(included[section])) {
      const mine = Object.hasOwn(own[section], name) ? own[section][name] : undefined;
      if (mine !== undefined && JSON.stringify(mine) !== JSON.stringify(entry)) {
        at.fail(
          `${section}.${name} is declared here as well, and differs; change it in a further -c file instead`,
        );
      }
    }
    out[section] = { ...included[section], ...own[section] };
  }
  return out as unknown as StackFile;
}
