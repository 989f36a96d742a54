import { FleetError, messageOf } from "../../base/errors.ts";
import { formatDataKey, newDataKey, parseDataKey } from "../crypto/data_key.ts";
import { RecordKeys } from "../crypto/record_keys.ts";

/** Bits of a mode that let others in. */
const OTHERS = 0o077;

/**
 * Creates the folder for this user alone, or checks that an existing one is.
 * Modes that let others in are borne when `allowLooseModes` says so.
 * @throws FleetError forbidden with the command that helps, invalid when it is no folder
 */
export function ensurePrivateDirectory(
  path: string,
  options: { allowLooseModes?: boolean } = {},
): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) {
      throw new FleetError("forbidden", `cannot create ${path}: ${messageOf(error)}`);
    }
  }
  const info = Deno.statSync(path);
  if (!info.isDirectory) throw new FleetError("invalid", `${path} is not a directory`);
  if (info.uid !== null && info.uid !== Deno.uid()) {
    throw new FleetError(
      "forbidden",
      `${path} belongs to user ${info.uid}, but fleet runs as user ${Deno.uid()}: chown ${Deno.uid()} ${path}, or choose another --data-dir`,
    );
  }
  if (((info.mode ?? 0) & OTHERS) !== 0 && !options.allowLooseModes) {
    throw new FleetError(
      "forbidden",
      `${path} is open to others (mode ${
        octal(info.mode)
      }): chmod 700 ${path}, or start with --allow-loose-modes`,
    );
  }
}

const octal = (mode: number | null) => ((mode ?? 0) & 0o777).toString(8);

/**
 * Makes this process the only one on the directory. The kernel drops the lock when the process ends, however
 * that happens, so there is no stale one; the pid in the file is for the message only.
 * @throws FleetError conflict with the holder's pid
 */
export function lockDirectory(path: string): { release(): void } {
  const file = Deno.openSync(`${path}/lock`, {
    read: true,
    write: true,
    create: true,
    mode: 0o600,
  });
  if (!file.tryLockSync(true)) {
    const pid = Deno.readTextFileSync(`${path}/lock`).trim();
    file.close();
    throw new FleetError(
      "conflict",
      `${path} is in use by another fleet agent (pid ${
        pid || "unknown"
      }); stop it, or choose another --data-dir`,
    );
  }
  try {
    file.truncateSync(0);
    file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
  } catch {
    // A full disk: the lock holds all the same.
  }
  return {
    release: () => {
      file.unlockSync();
      file.close();
    },
  };
}

/** Small files of the data directory. */
export interface StateFiles {
  /** @throws FleetError forbidden for a key that others may read */
  read(name: string): string | undefined;
  /** Replaces the file whole, or not at all. @throws FleetError unavailable when the disk is full */
  write(name: string, text: string): void;
  remove(name: string): void;
}

/** Files with mode 0600, written to the disk, renamed into place, and the rename written, too. */
export function stateFiles(
  folder: string,
  options: { allowLooseModes?: boolean } = {},
): StateFiles {
  return {
    read(name) {
      const path = `${folder}/${name}`;
      try {
        if (name.endsWith(".key") && !options.allowLooseModes) refuseOpenKey(path);
        return Deno.readTextFileSync(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    write(name, text) {
      const path = `${folder}/${name}`;
      try {
        writeDurably(`${path}.new`, text);
        Deno.renameSync(`${path}.new`, path);
        syncDirectory(folder);
      } catch (error) {
        const detail = messageOf(error);
        throw /No space left|ENOSPC/i.test(detail)
          ? new FleetError(
            "unavailable",
            `no space left for ${path}: free some space; the file is as it was`,
            { cause: error },
          )
          : new FleetError("unavailable", `cannot write ${path}: ${detail}`, { cause: error });
      }
    },
    remove(name) {
      try {
        Deno.removeSync(`${folder}/${name}`);
        syncDirectory(folder);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}

function refuseOpenKey(path: string): void {
  const { mode } = Deno.statSync(path);
  if (((mode ?? 0) & OTHERS) === 0) return;
  throw new FleetError(
    "forbidden",
    `${path} is open to others (mode ${octal(mode)}): chmod 600 ${path}`,
  );
}

function writeDurably(path: string, text: string): void {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o600 });
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  file.syncSync();
}

function syncDirectory(path: string): void {
  using directory = Deno.openSync(path, { read: true });
  directory.syncSync();
}

/** The file of the key under which the databases are encrypted. */
export const DATA_KEY = "data.key";

/**
 * The key under which this node's databases are encrypted, and the one before it if a replacement is not over.
 * One is made when there is none, but only where `mayCreate` says that nothing was encrypted yet.
 * @throws FleetError corrupt (damaged, or missing where it must be there), and as `parseDataKey` says
 */
export function dataKeys(
  files: StateFiles,
  options: { mayCreate: boolean; unlockKey?: Uint8Array },
): RecordKeys {
  const text = files.read(DATA_KEY);
  if (text !== undefined) {
    const [current = "", ...previous] = text.trim().split("\n");
    const key = (line: string) => parseDataKey(line, options.unlockKey);
    return new RecordKeys(key(current), previous[0] === undefined ? undefined : key(previous[0]));
  }
  if (!options.mayCreate) {
    throw new FleetError(
      "corrupt",
      `${DATA_KEY} is missing in the data directory, and its databases cannot be read without it; restore it from a backup, or run fleet leave --force and join again`,
    );
  }
  const key = newDataKey();
  files.write(DATA_KEY, formatDataKey(key, options.unlockKey));
  return new RecordKeys(key);
}

/** The newest of {@link dataKeys}. */
export function dataKey(
  files: StateFiles,
  options: { mayCreate: boolean; unlockKey?: Uint8Array },
): Uint8Array {
  return dataKeys(files, options).current;
}

/** Keeps the key, and the one before as long as records are left under it. @throws FleetError unavailable */
export function saveDataKeys(
  files: StateFiles,
  current: Uint8Array,
  previous?: Uint8Array,
): void {
  files.write(DATA_KEY, formatDataKey(current) + (previous ? formatDataKey(previous) : ""));
}
