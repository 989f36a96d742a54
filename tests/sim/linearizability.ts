import { perform } from "./machine.ts";
import type { Operation, Output } from "./machine.ts";

/**
 * Decides whether a history could have come from one copy of the data that does one operation at a time
 * (Herlihy and Wing): the search of Wing and Gong with Lowe's memory of configurations, key by key, which
 * suffices because linearizability is local.
 */
export interface HistoryEvent {
  readonly client: number;
  readonly op: Operation;
  /** Positions in the one order of all calls and returns. */
  readonly call: number;
  /** `Infinity` when the client never learned the outcome: the operation may have happened, or not, or may yet. */
  readonly return: number;
  /** Undefined when the outcome is unknown. */
  readonly output: Output | undefined;
}

export type Verdict =
  | { readonly kind: "linearizable" }
  /** `events` are those of one key, none of whose orders explains what the clients saw. */
  | { readonly kind: "violation"; readonly key: string; readonly events: readonly HistoryEvent[] }
  /** Gave up on some keys: too many orders to try. */
  | { readonly kind: "undecided"; readonly keys: readonly string[] };

/** Steps of the search per key; a key with few unknown outcomes needs some hundreds. */
const MAX_STEPS = 300_000;

export function checkHistory(events: readonly HistoryEvent[]): Verdict {
  const byKey = new Map<string, HistoryEvent[]>();
  for (const event of events) {
    const list = byKey.get(event.op.key);
    if (list) list.push(event);
    else byKey.set(event.op.key, [event]);
  }
  const undecided: string[] = [];
  for (const [key, list] of byKey) {
    const result = checkKey(list);
    if (result === false) return { kind: "violation", key, events: list };
    if (result === undefined) undecided.push(key);
  }
  return undecided.length > 0 ? { kind: "undecided", keys: undecided } : { kind: "linearizable" };
}

/** A call or return in the list of what is not linearized yet. */
interface Node {
  readonly event: HistoryEvent;
  readonly bit: number;
  /** The matching return; undefined for a return. */
  readonly match: Node | undefined;
  previous: Node | undefined;
  next: Node | undefined;
}

/** Undefined when the search was given up. */
function checkKey(events: readonly HistoryEvent[]): boolean | undefined {
  const head = buildList(events);
  const done = new Uint32Array((events.length + 31) >> 5);
  const seen = new Set<string>();
  const stack: { node: Node; state: string }[] = [];
  let state = "";
  let node = head.next;
  for (let steps = 0; head.next !== undefined; steps++) {
    if (steps > MAX_STEPS) return undefined;
    if (node?.match !== undefined) {
      const result = perform(state, node.event.op);
      const fits = node.event.output === undefined || node.event.output === result.output;
      if (fits && remember(seen, done, node.bit, result.state)) {
        stack.push({ node, state });
        state = result.state;
        done[node.bit >> 5]! |= 1 << (node.bit & 31);
        lift(node);
        node = head.next;
      } else {
        node = node.next;
      }
      continue;
    }
    // A return whose operation has not taken place, or the end: undo the last choice.
    const last = stack.pop();
    if (last === undefined) return false;
    state = last.state;
    done[last.node.bit >> 5]! &= ~(1 << (last.node.bit & 31));
    unlift(last.node);
    node = last.node.next;
  }
  return true;
}

/** Whether this set of finished operations with this state is new. */
function remember(seen: Set<string>, done: Uint32Array, bit: number, state: string): boolean {
  done[bit >> 5]! |= 1 << (bit & 31);
  const key = `${done.join(",")}|${state}`;
  done[bit >> 5]! &= ~(1 << (bit & 31));
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

function buildList(events: readonly HistoryEvent[]): Node {
  const points: { at: number; node: Node }[] = [];
  events.forEach((event, bit) => {
    const end: Node = { event, bit, match: undefined, previous: undefined, next: undefined };
    const begin: Node = { event, bit, match: end, previous: undefined, next: undefined };
    points.push({ at: event.call, node: begin }, { at: event.return, node: end });
  });
  // Stable: unknown outcomes keep their order at the end.
  points.sort((a, b) => a.at === b.at ? 0 : a.at - b.at);
  const head: Node = {
    event: events[0]!,
    bit: -1,
    match: undefined,
    previous: undefined,
    next: undefined,
  };
  let last = head;
  for (const { node } of points) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

/** Takes a call and its return out of the list. */
function lift(node: Node): void {
  for (const each of [node, node.match!]) {
    each.previous!.next = each.next;
    if (each.next) each.next.previous = each.previous;
  }
}

/** Puts them back where they were. */
function unlift(node: Node): void {
  for (const each of [node.match!, node]) {
    each.previous!.next = each;
    if (each.next) each.next.previous = each;
  }
}
