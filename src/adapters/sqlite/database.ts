import { DatabaseSync } from "node:sqlite";
import { Kysely } from "kysely";
import { FleetError, messageOf } from "../../base/errors.ts";
import { nodeSqliteDialect } from "./dialect.ts";
import { MIGRATIONS } from "./migrations.ts";
import type { Schema } from "./migrations.ts";

export interface Database {
  /** For queries whose shape is worth checking. */
  readonly kysely: Kysely<Schema>;
  /** For the few statements of the hot path, prepared once. */
  readonly raw: DatabaseSync;
  close(): void;
}

/**
 * Opens a database file, checks it, brings its schema up to date. Every commit reaches the disk
 * (`synchronous=FULL`) before it returns.
 * @throws FleetError corrupt when the file is damaged or from a newer fleet
 */
export function openDatabase(path: string): Database {
  return guarded(path, () => {
    const raw = new DatabaseSync(path);
    try {
      raw.exec(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA busy_timeout=2000",
      );
      const check = raw.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
      if (check.quick_check !== "ok") {
        throw new FleetError("corrupt", damaged(path, check.quick_check));
      }
      migrate(raw, path);
    } catch (error) {
      raw.close();
      throw error;
    }
    const kysely = new Kysely<Schema>({ dialect: nodeSqliteDialect(raw) });
    return { kysely, raw, close: () => raw.close() };
  });
}

function migrate(raw: DatabaseSync, path: string): void {
  const { user_version: version } = raw.prepare("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version > MIGRATIONS.length) {
    throw new FleetError(
      "corrupt",
      `${path} has format ${version}, this fleet knows formats up to ${MIGRATIONS.length}; run the version that wrote it`,
    );
  }
  for (let i = version; i < MIGRATIONS.length; i++) {
    raw.exec(`BEGIN; ${MIGRATIONS[i]}; PRAGMA user_version=${i + 1}; COMMIT`);
  }
}

function damaged(path: string, detail: string): string {
  return `${path} is damaged (${detail}); restore it from a backup, or run fleet leave --force and join again`;
}

/**
 * Runs a statement and names what SQLite's errors mean for the person who runs fleet.
 * @throws FleetError unavailable (disk full), corrupt (damaged file), internal
 */
export function guarded<T>(path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof FleetError) throw error;
    const text = messageOf(error);
    if (/disk is full|No space left|SQLITE_FULL|ENOSPC/i.test(text)) {
      throw new FleetError(
        "unavailable",
        `no space left for ${path}: free some space; nothing was lost, the change was not made`,
        { cause: error },
      );
    }
    if (/malformed|not a database|corrupt/i.test(text)) {
      throw new FleetError("corrupt", damaged(path, text), { cause: error });
    }
    throw new FleetError("internal", `${path}: ${text}`, { cause: error });
  }
}
