import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { StatementSync } from "node:sqlite";
import { Kysely } from "kysely";
import type { Compilable } from "kysely";
import { FleetError } from "../../base/errors.ts";
import { nodeSqliteDialect } from "./dialect.ts";
import type { FileFormat } from "./schema.ts";
import { damaged, guarded, untrusted } from "./sqlite_error.ts";

/** What SQLite may leave beside a database. */
const SUFFIXES = ["", "-wal", "-shm", "-journal"] as const;

/**
 * One SQLite file with one owner. Kysely types and builds every statement; those of the hot path are
 * compiled once and run synchronously.
 */
export class Database<S> {
  readonly kysely: Kysely<S>;
  readonly raw: DatabaseSync;
  readonly #path: string;

  private constructor(path: string, raw: DatabaseSync) {
    this.#path = path;
    this.raw = raw;
    this.kysely = new Kysely<S>({ dialect: nodeSqliteDialect(raw) });
  }

  /**
   * Makes a new file beside and renames it, so that a file which exists is always whole.
   * `fill` may write first rows. @throws FleetError conflict when there is one already, unavailable (disk full)
   */
  static create<S>(path: string, format: FileFormat, fill: (database: Database<S>) => void): void {
    if (sizeOf(path) !== undefined) {
      throw new FleetError("conflict", `${path} exists already: this node has a ${format.what}`);
    }
    const fresh = `${path}.new`;
    removeDatabase(fresh);
    // A write-ahead log that outlived its database would be played into the new one.
    removeDatabase(path);
    guarded(fresh, () => {
      const raw = new DatabaseSync(fresh);
      try {
        raw.exec(`PRAGMA synchronous=FULL; PRAGMA application_id=${format.applicationId}`);
        const database = new Database<S>(fresh, raw);
        database.#migrate(format);
        fill(database);
      } finally {
        raw.close();
      }
      Deno.chmodSync(fresh, 0o600);
      Deno.renameSync(fresh, path);
      syncDirectory(dirname(path));
    });
  }

  /**
   * Opens an existing file, checks it and brings its schema up to date. From then on every commit reaches
   * the disk before it returns. Nobody else can open the file meanwhile.
   * @throws FleetError corrupt (missing, empty, damaged, foreign or from a newer fleet), conflict (in use),
   *   unavailable (disk full)
   */
  static open<S>(path: string, format: FileFormat): Database<S> {
    const size = sizeOf(path);
    if (size === undefined) throw untrusted(path, "is missing");
    // SQLite would take an empty file for a new database.
    if (size === 0) throw untrusted(path, "is empty");
    return guarded(path, () => {
      const raw = new DatabaseSync(path);
      try {
        // Exclusive first: then SQLite needs no shared-memory file, which a full disk could not hold.
        raw.exec(
          "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        );
        const database = new Database<S>(path, raw);
        const id = database.#pragma("application_id");
        if (id !== format.applicationId) {
          throw untrusted(path, `is not a ${format.what} of fleet`);
        }
        database.#migrate(format);
        const check = database.#pragma("quick_check(1)");
        if (check !== "ok") throw damaged(path, String(check));
        return database;
      } catch (error) {
        raw.close();
        throw error;
      }
    });
  }

  #pragma(name: string): unknown {
    return Object.values(this.raw.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  }

  #migrate({ migrations, what }: FileFormat): void {
    const version = Number(this.#pragma("user_version"));
    if (version > migrations.length) {
      throw new FleetError(
        "corrupt",
        `${this.#path} is a ${what} of format ${version}, this fleet knows formats up to ${migrations.length}: run the version of fleet that wrote it, or a newer one`,
      );
    }
    for (const [i, migration] of migrations.entries()) {
      if (i < version) continue;
      this.transaction(() => {
        for (const step of migration(this.kysely.schema)) this.raw.exec(step.compile().sql);
        this.raw.exec(`PRAGMA user_version=${i + 1}`);
      });
    }
  }

  /** A statement whose values, in the order in which the query names them, are given when it runs. */
  prepare(query: Compilable): StatementSync {
    return this.raw.prepare(query.compile().sql);
  }

  /** All or nothing, durable when it returns. @throws FleetError as {@link guarded} says */
  transaction<T>(run: () => T): T {
    return guarded(this.#path, () => {
      this.raw.exec("BEGIN IMMEDIATE");
      try {
        const result = run();
        this.raw.exec("COMMIT");
        return result;
      } catch (error) {
        // On a full disk SQLite may have rolled back by itself.
        if (this.raw.isTransaction) this.raw.exec("ROLLBACK");
        throw error;
      }
    });
  }

  /** A read. @throws FleetError as {@link guarded} says */
  read<T>(run: () => T): T {
    return guarded(this.#path, run);
  }

  close(): void {
    this.raw.close();
  }
}

/** Removes a database and what belongs to it; missing ones are fine. */
export function removeDatabase(path: string): void {
  for (const suffix of SUFFIXES) removeIfThere(path + suffix);
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function sizeOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** A rename is durable only when its directory is. */
function syncDirectory(path: string): void {
  using directory = Deno.openSync(path, { read: true });
  directory.syncSync();
}
