import type { Clock } from "../../base/clock.ts";
import { clusterOf } from "../../model/view.ts";
import type { Applied } from "../../model/view.ts";
import type { Backend, ManagerState } from "../backend.ts";
import { toleranceSentence } from "../tolerance.ts";
import { ROW_TABLES, rowOf } from "./rows.ts";
import type { Batch, ClusterRow, Rows, RowTable } from "./rows.ts";

/** Changes gather this long: a person sees no difference, and a burst of tasks is one message. */
const GATHER_MS = 50;
/** Batches kept for readers who come back: half a minute of a busy cluster. */
const MAX_BATCHES = 512;
/** What raft says of the managers is no change in the store: it is looked at so often while somebody reads. */
const CLUSTER_LOOK_MS = 500;
/** Points of one service's history, and services that have one. */
const MAX_POINTS = 720;
const MAX_HISTORIES = 2_000;

export interface Snapshot {
  /** Where in the feed this is: the reader goes on from here. */
  readonly at: string;
  readonly rows: { readonly [T in RowTable]: readonly Rows[T][] };
  readonly cluster: ClusterRow;
}

/** `[seconds since 1970, tasks that run, tasks that shall]` whenever one of them changed. */
export type ReplicaPoint = readonly [number, number, number];

export interface FeedReader {
  send(at: string, text: string): void;
}

type Tables = { [T in RowTable]: Map<string, Rows[T]> };

/**
 * The cluster as rows, and every change of them to whoever reads. A reader who was away names where it
 * stopped and gets what it missed, or is told to begin again when that is too long ago.
 */
export class LiveFeed {
  readonly #backend: Backend;
  readonly #clock: Clock;
  /** Tells batches of this process from another's. */
  readonly #epoch: string;
  readonly #rows = emptyTables();
  readonly #readers = new Set<FeedReader>();
  readonly #batches: { seq: number; text: string }[] = [];
  readonly #history = new Map<string, ReplicaPoint[]>();
  #seq = 0;
  #changed = new Map<string, RowTable>();
  #flushPlanned = false;
  #cluster: ClusterRow | undefined;
  #clusterText = "";
  #lookPlanned = false;
  #closed = false;
  readonly #closing = new AbortController();
  readonly #unwatch: () => void;

  constructor(backend: Backend, clock: Clock, epoch: string) {
    this.#backend = backend;
    this.#clock = clock;
    this.#epoch = epoch;
    this.#unwatch = backend.watch((changes) => this.#onChanges(changes));
  }

  close(): void {
    this.#closed = true;
    this.#closing.abort();
    this.#unwatch();
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Everything there is, read anew. @throws FleetError unavailable on a node that is no manager */
  async snapshot(): Promise<Snapshot> {
    const heard = await this.#heard();
    await this.#backend.read((view) => {
      const fresh = emptyTables();
      for (const table of ROW_TABLES) {
        for (const object of view.all(table)) {
          const known = this.#rows[table].get(object.ID);
          const row = known?.v === object.Version.Index ? known : rowOf(table, object);
          (fresh[table] as Map<string, unknown>).set(object.ID, row);
        }
      }
      Object.assign(this.#rows, fresh);
      this.#cluster = this.#clusterRow(clusterOf(view)?.ID ?? "", heard);
    });
    this.#notePoints(this.#rows.service.keys());
    const rows = Object.fromEntries(
      ROW_TABLES.map((table) => [table, [...this.#rows[table].values()]]),
    ) as unknown as Snapshot["rows"];
    return { at: this.#at(this.#seq), rows, cluster: this.#cluster! };
  }

  /**
   * Sends every batch after `from`; false when those are not there any more, and nothing is sent then.
   * The reader says `leave` when it is gone.
   */
  join(reader: FeedReader, from: string): boolean {
    const [epoch, text] = from.split(".");
    const seq = Number(text);
    const oldest = this.#seq - this.#batches.length;
    if (epoch !== this.#epoch || !(seq >= oldest && seq <= this.#seq)) return false;
    for (const batch of this.#batches) {
      if (batch.seq > seq) reader.send(this.#at(batch.seq), batch.text);
    }
    this.#readers.add(reader);
    this.#planLook();
    return true;
  }

  leave(reader: FeedReader): void {
    this.#readers.delete(reader);
  }

  history(serviceId: string): readonly ReplicaPoint[] {
    return this.#history.get(serviceId) ?? [];
  }

  #at(seq: number): string {
    return `${this.#epoch}.${seq}`;
  }

  #onChanges(changes: readonly Applied[]): void {
    for (const { op, table, object } of changes) {
      if (!isRowTable(table)) continue;
      const rows = this.#rows[table] as Map<string, unknown>;
      if (op === "remove") rows.delete(object.ID);
      else rows.set(object.ID, rowOf(table, object as never));
      this.#changed.set(object.ID, table);
      if (table === "task") this.#touchHistory((object as Applied<"task">["object"]).ServiceID);
      if (table === "service") this.#touchHistory(object.ID);
    }
    if (this.#changed.size > 0) this.#planFlush();
  }

  readonly #touched = new Set<string>();

  #touchHistory(serviceId: string | undefined): void {
    if (serviceId) this.#touched.add(serviceId);
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    this.#clock.after(GATHER_MS, () => {
      this.#flushPlanned = false;
      if (!this.#closed) this.#flush();
    });
  }

  #flush(): void {
    const put: Record<string, unknown[]> = {};
    const gone: Record<string, string[]> = {};
    for (const [id, table] of this.#changed) {
      const row = this.#rows[table].get(id);
      if (row) (put[table] ??= []).push(row);
      else (gone[table] ??= []).push(id);
    }
    this.#changed = new Map();
    this.#notePoints(this.#touched);
    this.#touched.clear();
    this.#publish({ put, gone } as Batch);
  }

  #publish(batch: Batch): void {
    const seq = ++this.#seq;
    const text = JSON.stringify(batch);
    this.#batches.push({ seq, text });
    if (this.#batches.length > MAX_BATCHES) this.#batches.shift();
    for (const reader of this.#readers) reader.send(this.#at(seq), text);
  }

  #planLook(): void {
    if (this.#lookPlanned || this.#closed || this.#readers.size === 0) return;
    this.#lookPlanned = true;
    this.#clock.after(CLUSTER_LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const heard = await this.#heard();
    this.#lookPlanned = false;
    if (this.#closed) return;
    const cluster = this.#clusterRow(this.#cluster?.id ?? "", heard);
    const text = JSON.stringify(cluster);
    if (text !== this.#clusterText) {
      this.#clusterText = text;
      this.#cluster = cluster;
      this.#publish({ put: {}, gone: {}, cluster });
    }
    this.#planLook();
  }

  /** The managers as the leader hears from them; undefined on a node that is none. Never throws. */
  async #heard(): Promise<ManagerState | undefined> {
    if (!this.#backend.localState().manager) return undefined;
    return await this.#backend.managersHeard(this.#closing.signal).catch(() => undefined);
  }

  #clusterRow(id: string, heard: ManagerState | undefined): ClusterRow {
    const local = this.#backend.localState();
    if (!local.manager || !heard) {
      const tolerance = local.error || "no manager runs on this node: open another manager's page";
      return {
        id,
        self: local.nodeId,
        leader: "",
        tolerance,
        quorum: false,
        silent: [],
        managers: [],
      };
    }
    const { leaderId, managers, silentNodes = [] } = heard;
    const voters = managers.filter(({ voter }) => voter);
    const reachable = voters.filter((manager) => manager.reachable).length;
    return {
      id,
      self: local.nodeId,
      leader: leaderId,
      tolerance: toleranceSentence(voters.length, reachable),
      quorum: leaderId !== "" && reachable > voters.length / 2,
      silent: silentNodes.toSorted(),
      managers: managers.map(({ nodeId, reachable, voter }) => ({
        node: nodeId,
        reachable,
        voter,
      })),
    };
  }

  /** One pass over the tasks, however many services changed. */
  #notePoints(serviceIds: Iterable<string>): void {
    const counts = new Map<string, { running: number; wanted: number }>();
    for (const id of serviceIds) counts.set(id, { running: 0, wanted: 0 });
    if (counts.size === 0) return;
    for (const { service, state, desired } of this.#rows.task.values()) {
      const count = counts.get(service);
      if (!count) continue;
      if (state === "running") count.running++;
      if (desired === "running" || desired === "ready") count.wanted++;
    }
    for (const [id, { running, wanted }] of counts) this.#notePoint(id, running, wanted);
  }

  #notePoint(serviceId: string, running: number, tasksWanted: number): void {
    const service = this.#rows.service.get(serviceId);
    if (!service) return void this.#history.delete(serviceId);
    const wanted = service.mode === "replicated" ? service.replicas : tasksWanted;
    const points = this.#history.get(serviceId) ?? [];
    const last = points.at(-1);
    if (last && last[1] === running && last[2] === wanted) return;
    if (!this.#history.has(serviceId) && this.#history.size >= MAX_HISTORIES) return;
    points.push([Math.round(this.#clock.now() / 10) / 100, running, wanted]);
    if (points.length > MAX_POINTS) points.shift();
    this.#history.set(serviceId, points);
  }
}

function emptyTables(): Tables {
  return Object.fromEntries(ROW_TABLES.map((table) => [table, new Map()])) as unknown as Tables;
}

function isRowTable(table: string): table is RowTable {
  return (ROW_TABLES as readonly string[]).includes(table);
}
