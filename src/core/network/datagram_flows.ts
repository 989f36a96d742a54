import type { RelayedPort } from "./relayed_ports.ts";

/** What one client sends to one address and port of the node, and the task that has it. */
export interface DatagramFlow {
  /** Unique among the flows that are there. */
  readonly key: string;
  readonly published: number;
  /** The task's address and port. */
  readonly task: string;
  readonly target: number;
}

interface Known {
  port: RelayedPort;
  /** Whose turn it is. */
  next: number;
}

interface Entry {
  readonly flow: DatagramFlow;
  /** In either direction; milliseconds. */
  usedAt: number;
}

/** A flow on which nothing was said for this long is over; the engine's own proxy has the same. */
export const FLOW_IDLE_MS = 90_000;

/**
 * Which task has which client's datagrams: each new client the next task, as long as that task is there.
 * A task that drains keeps its clients and gets no others.
 */
export class DatagramFlows {
  readonly #max: number;
  readonly #ports = new Map<number, Known>();
  /** The one used longest ago first. */
  readonly #entries = new Map<string, Entry>();

  /** @param max flows at once; for one more the one goes that was used longest ago */
  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Takes over the ports that there shall be; the flows that have ended by that, or by themselves. */
  serve(ports: readonly RelayedPort[], now: number): DatagramFlow[] {
    const wanted = new Set(ports.map(({ published }) => published));
    for (const published of this.#ports.keys()) {
      if (!wanted.has(published)) this.#ports.delete(published);
    }
    for (const port of ports) {
      const known = this.#ports.get(port.published);
      if (known) known.port = port;
      else this.#ports.set(port.published, { port, next: 0 });
    }
    const ended = [...this.#entries.values()].filter(({ flow, usedAt }) =>
      now - usedAt >= FLOW_IDLE_MS || !this.#goesOn(flow)
    ).map(({ flow }) => flow);
    for (const flow of ended) this.end(flow);
    return ended;
  }

  /** The flow that a client's datagram belongs to. */
  find(key: string, now: number): DatagramFlow | undefined {
    const entry = this.#entries.get(key);
    if (entry) this.#use(entry, now);
    return entry?.flow;
  }

  /**
   * Begins a flow. Undefined where no task takes new clients; `ended` had to make room for it.
   */
  begin(
    key: string,
    published: number,
    now: number,
  ): { readonly flow: DatagramFlow; readonly ended?: DatagramFlow } | undefined {
    const known = this.#ports.get(published);
    if (!known || known.port.reals.length === 0) return;
    const { reals, target } = known.port;
    const flow = { key, published, task: reals[known.next++ % reals.length]!, target };
    const [oldest] = this.#entries.size >= this.#max ? this.#entries.values() : [];
    if (oldest) this.end(oldest.flow);
    this.#entries.set(key, { flow, usedAt: now });
    return { flow, ...(oldest ? { ended: oldest.flow } : {}) };
  }

  /** The task has said something. */
  answered(flow: DatagramFlow, now: number): void {
    const entry = this.#entries.get(flow.key);
    if (entry?.flow === flow) this.#use(entry, now);
  }

  end(flow: DatagramFlow): void {
    if (this.#entries.get(flow.key)?.flow === flow) this.#entries.delete(flow.key);
  }

  #goesOn({ published, task, target }: DatagramFlow): boolean {
    const port = this.#ports.get(published)?.port;
    return port !== undefined && port.target === target &&
      (port.reals.includes(task) || port.draining.includes(task));
  }

  #use(entry: Entry, now: number): void {
    entry.usedAt = now;
    this.#entries.delete(entry.flow.key);
    this.#entries.set(entry.flow.key, entry);
  }
}
