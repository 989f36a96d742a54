/** Tables as Kysely types them. Blobs are encrypted records. */
export interface Schema {
  raft_entry: { idx: number; term: number; type: "normal" | "conf"; record: Uint8Array };
  raft_state: { id: number; term: number; vote: string; commit_index: number };
  raft_snapshot: { idx: number; term: number; conf: string; record: Uint8Array };
  worker_task: { id: string; record: Uint8Array; status: string | null };
}

/** One step of the schema each, never changed once released; the database's user_version counts them. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE raft_entry (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, type TEXT NOT NULL, record BLOB NOT NULL);
   CREATE TABLE raft_state (id INTEGER PRIMARY KEY CHECK (id = 1), term INTEGER NOT NULL, vote TEXT NOT NULL, commit_index INTEGER NOT NULL);
   CREATE TABLE raft_snapshot (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, conf TEXT NOT NULL, record BLOB NOT NULL);
   CREATE TABLE worker_task (id TEXT PRIMARY KEY, record BLOB NOT NULL, status TEXT)`,
];
