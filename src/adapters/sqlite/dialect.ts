import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from "kysely";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";

/** Kysely over the synchronous SQLite that comes with the runtime; Kysely has no dialect for it. */
export function nodeSqliteDialect(database: DatabaseSync): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new NodeSqliteDriver(database),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** One connection: the database file has one owner, guarded by the data directory's lock. */
class NodeSqliteDriver implements Driver {
  readonly #connection: NodeSqliteConnection;

  constructor(readonly database: DatabaseSync) {
    this.#connection = new NodeSqliteConnection(database);
  }
  init(): Promise<void> {
    return Promise.resolve();
  }
  acquireConnection(): Promise<DatabaseConnection> {
    return Promise.resolve(this.#connection);
  }
  beginTransaction(): Promise<void> {
    this.database.exec("BEGIN IMMEDIATE");
    return Promise.resolve();
  }
  commitTransaction(): Promise<void> {
    this.database.exec("COMMIT");
    return Promise.resolve();
  }
  rollbackTransaction(): Promise<void> {
    this.database.exec("ROLLBACK");
    return Promise.resolve();
  }
  releaseConnection(): Promise<void> {
    return Promise.resolve();
  }
  destroy(): Promise<void> {
    return Promise.resolve();
  }
}

class NodeSqliteConnection implements DatabaseConnection {
  constructor(readonly database: DatabaseSync) {}

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const statement = this.database.prepare(query.sql);
    const parameters = query.parameters as SQLInputValue[];
    if (statement.columns().length > 0) {
      return Promise.resolve({ rows: statement.all(...parameters) as R[] });
    }
    const { changes } = statement.run(...parameters);
    return Promise.resolve({ rows: [], numAffectedRows: BigInt(changes) });
  }

  // deno-lint-ignore require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("streaming is not needed on an in-process database");
  }
}
