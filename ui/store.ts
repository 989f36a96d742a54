import type { Batch, ClusterRow, Rows, RowTable, TaskRow } from "../src/api/ui/rows.ts";
import { ApiFailure, getJson } from "./api.ts";

/** How the page stands with the agent. */
export type LinkState =
  | { readonly kind: "loading" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly since: number }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "expired" };

interface Snapshot {
  readonly at: string;
  readonly rows: { readonly [T in RowTable]: readonly Rows[T][] };
  readonly cluster: ClusterRow;
}

/** A stream that says nothing for this long is lost, whatever the browser thinks: the agent beats every 5 s. */
const SILENCE_MS = 8_000;
/** Between two drawings: a change is drawn at once, a burst of them as often as an eye can follow. */
const DRAW_MS = 120;
const HIDDEN_DRAW_MS = 1_000;
/** Between two attempts to begin again. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 10_000;
const TABLES: readonly RowTable[] = ["node", "service", "task", "network", "secret", "config"];

type Tables = { [T in RowTable]: Map<string, Rows[T]> };

/**
 * The cluster as the page holds it. Changes gather until the next frame; arrays that nothing touched keep
 * their identity, so that only what changed is drawn again.
 */
export class Store {
  readonly tables: Tables = empty();
  cluster: ClusterRow | undefined;
  link: LinkState = { kind: "loading" };
  /** Tasks by node, "" for those on none; by service. */
  tasksByNode = new Map<string, readonly TaskRow[]>();
  tasksByService = new Map<string, readonly TaskRow[]>();
  #lists: { [T in RowTable]?: readonly Rows[T][] } = {};
  readonly #listeners = new Set<() => void>();
  #framePlanned = false;
  #drawnAt = -Infinity;
  #at = "";
  #source: EventSource | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MS;
  #stopped = false;

  /** All rows of a table by name. */
  list<T extends RowTable>(table: T): readonly Rows[T][] {
    const known = this.#lists[table] as readonly Rows[T][] | undefined;
    if (known) return known;
    const rows = [...this.tables[table].values()] as Rows[T][];
    const key = (row: Rows[T]) => "name" in row ? row.name : row.id;
    rows.sort((a, b) => natural(key(a), key(b)));
    (this.#lists as Record<string, unknown>)[table] = rows;
    return rows;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#stopped = false;
    void this.#begin();
  }

  stop(): void {
    this.#stopped = true;
    this.#source?.close();
    clearTimeout(this.#watchdog);
  }

  /** Takes everything anew, then follows. */
  async #begin(): Promise<void> {
    this.#source?.close();
    try {
      const snapshot = await getJson<Snapshot>("/live/snapshot");
      if (this.#stopped) return;
      for (const table of TABLES) {
        const rows = new Map<string, unknown>();
        for (const row of snapshot.rows[table]) {
          const known = this.tables[table].get(row.id);
          rows.set(row.id, known?.v === row.v ? known : row);
        }
        (this.tables as Record<string, unknown>)[table] = rows;
      }
      this.cluster = snapshot.cluster;
      this.#at = snapshot.at;
      this.#lists = {};
      this.#indexTasks();
      this.#retryMs = RETRY_MS;
      this.#follow();
    } catch (error) {
      if (error instanceof ApiFailure && error.status === 401) {
        return this.#set({ kind: "expired" });
      }
      if (error instanceof ApiFailure) this.#set({ kind: "refused", message: error.message });
      else this.#lost();
      this.#again();
    }
  }

  #again(): void {
    if (this.#stopped) return;
    setTimeout(() => void this.#begin(), this.#retryMs);
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 1.5);
  }

  #follow(): void {
    const source = new EventSource(`/live/stream?from=${encodeURIComponent(this.#at)}`);
    this.#source = source;
    const alive = () => {
      if (this.link.kind !== "live") this.#set({ kind: "live" });
      listen();
    };
    const listen = () => {
      clearTimeout(this.#watchdog);
      this.#watchdog = setTimeout(() => {
        source.close();
        this.#lost();
        // From where it stopped, if the agent still has what was missed.
        if (!this.#stopped) this.#follow();
      }, SILENCE_MS);
    };
    source.addEventListener("beat", alive);
    source.addEventListener("change", (event) => {
      alive();
      this.#at = event.lastEventId;
      this.#apply(JSON.parse(event.data) as Batch);
    });
    const begin = () => {
      source.close();
      clearTimeout(this.#watchdog);
      void this.#begin();
    };
    source.addEventListener("again", begin);
    source.addEventListener("expired", () => {
      source.close();
      clearTimeout(this.#watchdog);
      this.#set({ kind: "expired" });
    });
    source.onerror = () => {
      this.#lost();
      // The browser tries again by itself, unless the agent refused.
      if (source.readyState === EventSource.CLOSED) {
        clearTimeout(this.#watchdog);
        this.#again();
      }
    };
    listen();
  }

  #lost(): void {
    if (this.link.kind !== "lost") this.#set({ kind: "lost", since: Date.now() });
  }

  #set(link: LinkState): void {
    this.link = link;
    this.#notify();
  }

  #apply(batch: Batch): void {
    if (batch.cluster) this.cluster = batch.cluster;
    const touched: TaskRow[] = [];
    for (const table of TABLES) {
      const put = batch.put[table] ?? [];
      const gone = batch.gone[table] ?? [];
      if (put.length + gone.length === 0) continue;
      const rows = this.tables[table] as Map<string, unknown>;
      for (const row of put) {
        if (table === "task") touched.push(...pair(rows.get(row.id) as TaskRow, row as TaskRow));
        rows.set(row.id, row);
      }
      for (const id of gone) {
        if (table === "task") touched.push(...pair(rows.get(id) as TaskRow));
        rows.delete(id);
      }
      delete this.#lists[table];
    }
    if (touched.length > 0) this.#reindex(touched);
    this.#notify();
  }

  #indexTasks(): void {
    const byNode = new Map<string, TaskRow[]>();
    const byService = new Map<string, TaskRow[]>();
    for (const task of this.tables.task.values()) {
      add(byNode, task.node, task);
      add(byService, task.service, task);
    }
    for (const tasks of byNode.values()) tasks.sort(byPlace);
    for (const tasks of byService.values()) tasks.sort(byPlace);
    this.tasksByNode = byNode;
    this.tasksByService = byService;
    this.#notify();
  }

  /** Only the lists of nodes and services that a change touched are made anew. */
  #reindex(touched: readonly TaskRow[]): void {
    const ids = new Set(touched.map(({ id }) => id));
    const renew = (index: Map<string, readonly TaskRow[]>, key: "node" | "service") => {
      const places = new Map<string, TaskRow[]>();
      for (const id of ids) {
        const task = this.tables.task.get(id);
        if (task) add(places, task[key], task);
      }
      for (const value of new Set(touched.map((task) => task[key]))) {
        const list = withTasks(index.get(value) ?? [], places.get(value) ?? [], ids);
        if (list.length === 0) index.delete(value);
        else index.set(value, list);
      }
    };
    renew(this.tasksByNode as Map<string, readonly TaskRow[]>, "node");
    renew(this.tasksByService as Map<string, readonly TaskRow[]>, "service");
  }

  #notify(): void {
    if (this.#framePlanned) return;
    this.#framePlanned = true;
    const draw = () => {
      this.#framePlanned = false;
      this.#drawnAt = performance.now();
      for (const listener of this.#listeners) listener();
    };
    // A page in the background has no frames.
    const plan = () => document.hidden ? draw() : requestAnimationFrame(draw);
    const restMs = this.#drawnAt + (document.hidden ? HIDDEN_DRAW_MS : DRAW_MS) - performance.now();
    if (restMs > 0) setTimeout(plan, restMs);
    else plan();
  }
}

export const store = new Store();

function empty(): Tables {
  return Object.fromEntries(TABLES.map((table) => [table, new Map()])) as unknown as Tables;
}

function pair(...rows: readonly (TaskRow | undefined)[]): TaskRow[] {
  return rows.filter((row) => row !== undefined);
}

function add(index: Map<string, TaskRow[]>, key: string, task: TaskRow): void {
  const tasks = index.get(key);
  if (tasks) tasks.push(task);
  else index.set(key, [task]);
}

/**
 * `list` without those of `touched`, and with the `newer` of them, in its order. Most changes leave every task in its
 * place: then nothing is sorted.
 */
function withTasks(
  list: readonly TaskRow[],
  newer: readonly TaskRow[],
  touched: ReadonlySet<string>,
): readonly TaskRow[] {
  const byId = new Map(newer.map((task) => [task.id, task]));
  let inPlace = 0;
  const next: TaskRow[] = [];
  for (const task of list) {
    const now = byId.get(task.id);
    if (now && byPlace(task, now) === 0) {
      inPlace++;
      next.push(now);
    } else if (!touched.has(task.id)) next.push(task);
  }
  if (inPlace === newer.length) return next;
  const here = new Set(next.map(({ id }) => id));
  next.push(...newer.filter(({ id }) => !here.has(id)));
  return next.sort(byPlace);
}

/** By service, slot, and the newest of a slot first. */
function byPlace(a: TaskRow, b: TaskRow): number {
  return (a.serviceName < b.serviceName ? -1 : a.serviceName > b.serviceName ? 1 : 0) ||
    a.slot - b.slot || b.created - a.created || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

const collator = new Intl.Collator("en", { numeric: true });

/** `web2` before `web10`. */
export function natural(a: string, b: string): number {
  return collator.compare(a, b);
}
