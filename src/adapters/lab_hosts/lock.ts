import { FleetError } from "../../base/errors.ts";

const POLL_MS = 20;

/**
 * Holds an advisory lock on `path` while `work` runs. The kernel drops it when the holder dies, however
 * that happens. The file is removed with the lock, so whoever waited on a removed file looks again.
 * @throws FleetError conflict naming the holder's pid, after `timeoutMs`
 */
export async function withFileLock<T>(
  path: string,
  what: string,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    using file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
    if (file.tryLockSync(true)) {
      if (await isStillAt(file, path)) {
        await file.truncate();
        await file.write(new TextEncoder().encode(String(Deno.pid)));
        try {
          return await work();
        } finally {
          await Deno.remove(path).catch(() => {});
        }
      }
      continue;
    }
    if (performance.now() > deadline) {
      const pid = await Deno.readTextFile(path).catch(() => "");
      throw new FleetError(
        "conflict",
        `${what} is in use by process ${pid.trim() || "?"}: wait for it, or end it first`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function isStillAt(file: Deno.FsFile, path: string): Promise<boolean> {
  const [ours, there] = [await file.stat(), await Deno.stat(path).catch(() => undefined)];
  return there !== undefined && ours.ino === there.ino && ours.dev === there.dev;
}
