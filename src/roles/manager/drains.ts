/**
 * Tasks that shall stop and which nodes may still send connections to them. A task is drained when every
 * node that knew of it has said that its kernel holds a state in which it is out.
 *
 * Held in the leader's memory only: a task's node waits a bounded time, and a new leader begins anew for
 * whatever it finds running that shall stop.
 */
export class Drains {
  /** Task to the nodes that are waited for; with the sequence that tells them, once that was sent. */
  readonly #waiting = new Map<string, { owner: string; nodes: Map<string, number | undefined> }>();
  /** The last sequence of its session that each node's kernel holds. */
  readonly #applied = new Map<string, number>();
  readonly #onDrained: (taskId: string, owner: string) => void;

  constructor(onDrained: (taskId: string, owner: string) => void) {
    this.#onDrained = onDrained;
  }

  /** How many tasks are waited for. */
  get size(): number {
    return this.#waiting.size;
  }

  /** A task of `owner` shall stop; `nodes` know of it. Nothing changes for one that is drained already. */
  begin(taskId: string, owner: string, nodes: Iterable<string>): void {
    if (this.#waiting.has(taskId)) return;
    const entries = [...nodes].map((id): [string, undefined] => [id, undefined]);
    this.#waiting.set(taskId, { owner, nodes: new Map(entries) });
    this.#settle(taskId);
  }

  /** The task has ended, or is no more. */
  forget(taskId: string): void {
    this.#waiting.delete(taskId);
  }

  /** Everything up to now was sent to the node in messages up to `sequence`. */
  told(nodeId: string, sequence: number): void {
    for (const { nodes } of this.#waiting.values()) {
      if (nodes.has(nodeId) && nodes.get(nodeId) === undefined) nodes.set(nodeId, sequence);
    }
    this.#advance(nodeId);
  }

  /** The node's kernel holds what messages up to `sequence` said. */
  applied(nodeId: string, sequence: number): void {
    this.#applied.set(nodeId, sequence);
    this.#advance(nodeId);
  }

  /** A new session of the node counts from the beginning; what it was told counts no more. */
  reset(nodeId: string): void {
    this.#applied.delete(nodeId);
    for (const { nodes } of this.#waiting.values()) {
      if (nodes.has(nodeId)) nodes.set(nodeId, undefined);
    }
  }

  /** The node is down or no more: nothing comes through it. */
  gone(nodeId: string): void {
    this.#applied.delete(nodeId);
    for (const [taskId, { nodes }] of [...this.#waiting]) {
      if (nodes.delete(nodeId)) this.#settle(taskId);
    }
  }

  #advance(nodeId: string): void {
    const applied = this.#applied.get(nodeId);
    if (applied === undefined) return;
    for (const [taskId, { nodes }] of [...this.#waiting]) {
      const sequence = nodes.get(nodeId);
      if (sequence === undefined || sequence > applied) continue;
      nodes.delete(nodeId);
      this.#settle(taskId);
    }
  }

  #settle(taskId: string): void {
    const waiting = this.#waiting.get(taskId);
    if (!waiting || waiting.nodes.size > 0) return;
    this.#waiting.delete(taskId);
    this.#onDrained(taskId, waiting.owner);
  }
}
