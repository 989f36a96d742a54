import { MANY_FAILURES } from "./node_info.ts";
import type { NodeInfo } from "./node_info.ts";

/** A node as a candidate for the tasks of one service. */
export interface Candidate {
  readonly info: NodeInfo;
  /** Place among all nodes by id: the last tie-breaker, so that every run decides alike. */
  readonly order: number;
  /** Recent failures of the service's spec version here. */
  readonly failures: number;
  /** Tasks of the service here, and tasks in all. */
  ofService: number;
  total: number;
  /** Where it is in the heap; -1 when it takes no task. */
  position: number;
}

/**
 * Whether `a` is the better node (SwarmKit's order): not one where the service fails often, then the
 * one with fewer tasks of the service, then with fewer tasks, then with fewer recent failures.
 */
export function isBetter(a: Candidate, b: Candidate): boolean {
  const penaltyA = a.failures >= MANY_FAILURES ? a.failures : 0;
  const penaltyB = b.failures >= MANY_FAILURES ? b.failures : 0;
  if (penaltyA !== penaltyB) return penaltyA < penaltyB;
  if (a.ofService !== b.ofService) return a.ofService < b.ofService;
  if (a.total !== b.total) return a.total < b.total;
  if (a.failures !== b.failures) return a.failures < b.failures;
  return a.order < b.order;
}

/** Candidates with the best on top; each knows its place, so that one whose load changed can move. */
export class NodeHeap {
  readonly #items: Candidate[] = [];

  get best(): Candidate | undefined {
    return this.#items[0];
  }

  add(item: Candidate): void {
    item.position = this.#items.length;
    this.#items.push(item);
    this.#up(item.position);
  }

  remove(item: Candidate): void {
    const { position } = item;
    const last = this.#items.pop()!;
    item.position = -1;
    if (last === item) return;
    this.#put(last, position);
    this.moved(last);
  }

  /** Puts a candidate in the heap whose load changed where it belongs. */
  moved(item: Candidate): void {
    this.#up(item.position);
    this.#down(item.position);
  }

  #put(item: Candidate, position: number): void {
    this.#items[position] = item;
    item.position = position;
  }

  #up(from: number): void {
    const item = this.#items[from]!;
    let position = from;
    while (position > 0) {
      const above = (position - 1) >> 1;
      const parent = this.#items[above]!;
      if (!isBetter(item, parent)) break;
      this.#put(parent, position);
      position = above;
    }
    this.#put(item, position);
  }

  #down(from: number): void {
    const items = this.#items;
    const item = items[from]!;
    let position = from;
    for (;;) {
      let below = 2 * position + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && isBetter(items[below + 1]!, items[below]!)) below++;
      const child = items[below]!;
      if (!isBetter(child, item)) break;
      this.#put(child, position);
      position = below;
    }
    this.#put(item, position);
  }
}
