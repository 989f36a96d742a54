import { FleetError, messageOf } from "../../base/errors.ts";

/** The way out of a file that cannot be trusted. */
export function untrusted(path: string, what: string, cause?: unknown): FleetError {
  return new FleetError(
    "corrupt",
    `${path} ${what}; restore the data directory from a backup, or run fleet leave --force and join again`,
    { cause },
  );
}

export function damaged(path: string, detail: string, cause?: unknown): FleetError {
  return untrusted(path, `is damaged: ${detail}`, cause);
}

/**
 * Runs a statement and says what SQLite's errors mean for the person who runs fleet.
 * @throws FleetError unavailable (disk full or read-only: nothing was changed, it may be tried again), corrupt
 *   (damaged file), conflict (open elsewhere), internal (failing disk, and all else)
 */
export function guarded<T>(path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    // Broken invariants and our own sentences pass.
    if (!(error instanceof Error) || !("code" in error)) throw error;
    throw translated(path, error);
  }
}

function translated(path: string, cause: Error): FleetError {
  const text = messageOf(cause);
  if (/disk is full|No space left|ENOSPC/i.test(text)) {
    return new FleetError(
      "unavailable",
      `no space left for ${path}: free some space; nothing was lost, the change was not made`,
      { cause },
    );
  }
  if (/malformed|not a database|corrupt/i.test(text)) return damaged(path, text, cause);
  if (/is locked|is busy/i.test(text)) {
    return new FleetError("conflict", `${path} is in use by another process: end it first`, {
      cause,
    });
  }
  if (/readonly|read-only|unable to open/i.test(text)) {
    return new FleetError(
      "unavailable",
      `${path} cannot be written (${text}): check the file's owner and mode, and the disk's`,
      { cause },
    );
  }
  if (/I\/O error/i.test(text)) {
    // Not to be tried again: after a failed sync nobody knows what the disk holds.
    return new FleetError(
      "internal",
      `the disk under ${path} fails (${text}): look into the system's log; the change was not confirmed`,
      { cause },
    );
  }
  return new FleetError("internal", `${path}: ${text}`, { cause });
}
