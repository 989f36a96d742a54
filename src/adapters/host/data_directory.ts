import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { FleetError } from "../../base/errors.ts";
import { KEY_BYTES } from "../crypto/sealing.ts";

/** Creates the folder for this user alone, or checks that an existing one is. @throws FleetError forbidden */
export function ensurePrivateDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new FleetError(
      "forbidden",
      `cannot create ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
  const info = Deno.statSync(path);
  if (!info.isDirectory) throw new FleetError("invalid", `${path} is not a directory`);
  if (((info.mode ?? 0) & 0o077) !== 0) {
    throw new FleetError(
      "forbidden",
      `${path} can be read by others (mode ${
        ((info.mode ?? 0) & 0o777).toString(8)
      }): chmod 700 ${path}`,
    );
  }
}

/**
 * Makes this process the only one on the directory; the lock ends with the process, however it ends.
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
  file.truncateSync(0);
  file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
  return {
    release: () => {
      file.unlockSync();
      file.close();
    },
  };
}

/** Small files of the data directory: mode 0600, written to the disk and renamed into place. */
export function stateFiles(folder: string) {
  return {
    read(name: string): string | undefined {
      try {
        return Deno.readTextFileSync(`${folder}/${name}`);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    write(name: string, text: string): void {
      const path = `${folder}/${name}`;
      const file = Deno.openSync(`${path}.new`, {
        write: true,
        create: true,
        truncate: true,
        mode: 0o600,
      });
      try {
        const bytes = new TextEncoder().encode(text);
        for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
        file.syncSync();
      } finally {
        file.close();
      }
      Deno.renameSync(`${path}.new`, path);
    },
    remove(name: string): void {
      try {
        Deno.removeSync(`${folder}/${name}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}

/** The key under which this node's databases are encrypted, made at first use. @throws FleetError corrupt */
export function dataKey(files: ReturnType<typeof stateFiles>): Uint8Array {
  const text = files.read("data.key");
  if (text === undefined) {
    const key = randomBytes(KEY_BYTES);
    files.write("data.key", key.toString("base64") + "\n");
    return new Uint8Array(key);
  }
  const key = new Uint8Array(Buffer.from(text.trim(), "base64"));
  if (key.length !== KEY_BYTES) {
    throw new FleetError(
      "corrupt",
      "data.key in the data directory is damaged; restore it, or run fleet leave --force and join again",
    );
  }
  return key;
}
