import { sql } from "kysely";
import type { Compilable, SchemaModule } from "kysely";

/** Tables of a manager's log. Blobs are sealed records; the numbers beside them are bound into the seal. */
export interface RaftSchema {
  raft_entry: { idx: number; term: number; type: "normal" | "conf"; record: Uint8Array };
  /** One row. What the other tables must hold, so that nothing can go missing unseen. */
  raft_state: {
    id: 1;
    term: number;
    vote: string;
    commit_index: number;
    /** The entry before the first one of the log, and its term. */
    base_index: number;
    base_term: number;
    last_index: number;
    /** Counts the transactions of this file's life. */
    writes: number;
    seal: Uint8Array;
  };
  /** At most one row; its bytes are in the parts. */
  raft_snapshot: { idx: number; term: number; conf: string; parts: number; seal: Uint8Array };
  raft_snapshot_part: { idx: number; part: number; record: Uint8Array };
  /** At most one row: what the member knows of the others. */
  raft_memory: { id: 1; record: Uint8Array };
}

/** Tables of a node's tasks. */
export interface WorkerSchema {
  worker_task: { id: string; record: Uint8Array; status: Uint8Array | null };
}

/** One step of a schema, never changed once released. */
export type Migration = (schema: SchemaModule) => readonly Compilable[];

/** A kind of database file. */
export interface FileFormat {
  /** SQLite's application_id: tells the kinds of files apart. */
  readonly applicationId: number;
  /** For messages. */
  readonly what: string;
  /** The file's user_version counts them. */
  readonly migrations: readonly Migration[];
}

const STRICT = sql`strict`;

export const RAFT_FORMAT: FileFormat = {
  applicationId: 0x666c7201,
  what: "raft log",
  migrations: [
    (schema) => [
      schema.createTable("raft_entry")
        .addColumn("idx", "integer", (column) => column.primaryKey())
        .addColumn("term", "integer", (column) => column.notNull())
        .addColumn("type", "text", (column) => column.notNull())
        .addColumn("record", "blob", (column) => column.notNull())
        .modifyEnd(STRICT),
      schema.createTable("raft_state")
        .addColumn("id", "integer", (column) => column.primaryKey().check(sql`id = 1`))
        .addColumn("term", "integer", (column) => column.notNull())
        .addColumn("vote", "text", (column) => column.notNull())
        .addColumn("commit_index", "integer", (column) => column.notNull())
        .addColumn("base_index", "integer", (column) => column.notNull())
        .addColumn("base_term", "integer", (column) => column.notNull())
        .addColumn("last_index", "integer", (column) => column.notNull())
        .addColumn("writes", "integer", (column) => column.notNull())
        .addColumn("seal", "blob", (column) => column.notNull())
        .modifyEnd(STRICT),
      schema.createTable("raft_snapshot")
        .addColumn("idx", "integer", (column) => column.primaryKey())
        .addColumn("term", "integer", (column) => column.notNull())
        .addColumn("conf", "text", (column) => column.notNull())
        .addColumn("parts", "integer", (column) => column.notNull())
        .addColumn("seal", "blob", (column) => column.notNull())
        .modifyEnd(STRICT),
      schema.createTable("raft_snapshot_part")
        .addColumn("idx", "integer", (column) => column.notNull())
        .addColumn("part", "integer", (column) => column.notNull())
        .addColumn("record", "blob", (column) => column.notNull())
        .addPrimaryKeyConstraint("raft_snapshot_part_key", ["idx", "part"])
        .modifyEnd(STRICT),
    ],
    (schema) => [
      schema.createTable("raft_memory")
        .addColumn("id", "integer", (column) => column.primaryKey().check(sql`id = 1`))
        .addColumn("record", "blob", (column) => column.notNull())
        .modifyEnd(STRICT),
    ],
  ],
};

export const WORKER_FORMAT: FileFormat = {
  applicationId: 0x666c7701,
  what: "task table",
  migrations: [
    (schema) => [
      schema.createTable("worker_task")
        .addColumn("id", "text", (column) => column.primaryKey().notNull())
        .addColumn("record", "blob", (column) => column.notNull())
        .addColumn("status", "blob")
        .modifyEnd(STRICT),
    ],
  ],
};
