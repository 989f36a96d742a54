import type { Cursor } from "./cursor.ts";
import { checkedEntries } from "./keys.ts";
import { absolutePath, folderOf } from "./paths.ts";
import type { Places } from "./paths.ts";
import type { StackFile } from "./stack_file.ts";

/** Files within files. */
export const MAX_INCLUDES = 16;
/** Files that are included in all, however they include one another. */
export const MAX_INCLUDED_FILES = 200;

/** One entry of `include`: a project of its own, whose paths lead from its own folder. */
export interface Include {
  readonly at: Cursor;
  /** Absolute; the later ones are merged over the first. */
  readonly paths: readonly string[];
  readonly folder: string;
  /**
   * Variables that are not set here have the values of these; absolute. Without them those of the folder's
   * `.env` count, if there is one.
   */
  readonly envFiles: readonly string[] | undefined;
}

/** @throws FleetError invalid, with file and line */
export function readIncludes(at: Cursor, places: Places): Include[] {
  return at.items().map((entry) => {
    let paths: string[] = [];
    let [folder, envFiles] = [undefined as string | undefined, undefined as string[] | undefined];
    if (entry.isMap) {
      for (const [key, value] of checkedEntries(entry, KEYS)) {
        if (key === "path") paths = pathsOf(value, places);
        else if (key === "env_file") envFiles = pathsOf(value, places);
        else folder = localPath(value, places);
      }
    } else paths = [localPath(entry, places)];
    const [first] = paths;
    if (first === undefined) return entry.fail("names no path");
    return { at: entry, paths, folder: folder ?? folderOf(first), envFiles };
  });
}

const KEYS = { known: ["path", "project_directory", "env_file"] };

function pathsOf(at: Cursor, places: Places): string[] {
  const items = at.isList ? at.items() : [at];
  return items.map((item) => localPath(item, places));
}

/** What Docker Compose fetches from elsewhere. */
const REMOTE = /^([a-z][a-z0-9+.-]*:\/\/|oci:|git@)/i;

/** @throws FleetError invalid for a file that is not on this machine */
export function localPath(at: Cursor, places: Places): string {
  const text = at.text();
  if (REMOTE.test(text)) {
    at.fail(`remote files ("${text}") are not supported: fetch it first and name the copy`);
  }
  return absolutePath(text, places);
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
