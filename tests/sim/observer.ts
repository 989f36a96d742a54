import { decodeCommand, Machine } from "./machine.ts";
import type { HistoryEvent } from "./linearizability.ts";
import type { SimMember } from "./member.ts";
import { changeOf } from "../../src/core/raft/conf_change.ts";
import type { ConfChange, Entry, Message, RaftId } from "../../src/core/raft/types.ts";

/** What a checker found. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface Committed {
  readonly entry: Entry;
  /** The term in which it was known to be committed, or a later one. */
  readonly term: number;
}

/**
 * Watches a run from outside: what members persist, apply, send and lead. It has its own copy of the state
 * machine and believes nobody. Each method throws {@link Violation}.
 */
export class Observer {
  readonly #leaders = new Map<number, RaftId>();
  readonly #votes = new Map<string, RaftId>();
  readonly #entries = new Map<string, { data: Uint8Array; type: string; prevTerm: number }>();
  /** `#committed[i]` has index `i + 1`: entries in the order in which somebody first applied them. */
  readonly #committed: Committed[] = [];
  readonly #machine = new Machine();
  /** The index of the last removal of each id. */
  readonly #removed = new Map<RaftId, number>();
  readonly #snapshots = new Map<number, Uint8Array>();
  readonly #proposals = new Map<number, { index: number; term: number }>();
  /** Leaders whose log has been compared with what was committed before their term. */
  readonly #complete = new Set<number>();
  /** A running hash of what happened: two runs of one seed must agree on it. */
  digest = 0;
  leaderChanges = 0;

  get committed(): number {
    return this.#committed.length;
  }

  #mix(value: number): void {
    this.digest = (Math.imul(this.digest, 31) + value) | 0;
  }

  /** Election safety: at most one leader in a term (5.2). */
  role(member: SimMember): void {
    if (member.node?.role !== "leader") return;
    const { term, id } = member.node;
    const leader = this.#leaders.get(term);
    if (leader === undefined) {
      this.#leaders.set(term, id);
      this.leaderChanges++;
      this.#mix(term);
    } else if (leader !== id) {
      throw new Violation(`${leader} and ${id} both led term ${term}`);
    }
  }

  /** Leader completeness (5.4): a leader has everything that was committed in earlier terms. */
  #checkLeader(member: SimMember, term: number): void {
    if (this.#leaders.get(term) !== member.id || this.#complete.has(term)) return;
    this.#complete.add(term);
    const storage = member.storage!;
    for (let index = storage.firstIndex(); index <= this.#committed.length; index++) {
      const committed = this.#committed[index - 1]!;
      if (committed.term >= term) continue;
      if (storage.term(index) !== committed.entry.term) {
        throw new Violation(
          `${member.id} leads term ${term} without entry ${index}, committed in term ${committed.term}`,
        );
      }
    }
  }

  /** Log matching (5.3): index and term determine an entry and the term of the one before it. */
  persisted(member: SimMember, entries: readonly Entry[]): void {
    const storage = member.storage!;
    for (const entry of entries) {
      const { index, term, data, type } = entry;
      const prevTerm = storage.term(index - 1) ?? 0;
      const key = `${index}/${term}`;
      const known = this.#entries.get(key);
      if (known === undefined) {
        this.#entries.set(key, { data, type, prevTerm });
      } else if (
        known.prevTerm !== prevTerm || known.type !== type || !equalBytes(known.data, data)
      ) {
        throw new Violation(`entry ${key} of ${member.id} differs from another member's`);
      }
    }
    const last = entries.at(-1);
    if (last) this.#checkLeader(member, last.term);
  }

  /** State machine safety (5.4.3): nobody applies another entry at the same index. */
  applied(member: SimMember, entry: Entry): void {
    if (entry.index !== member.applied + 1) {
      throw new Violation(`${member.id} applies ${entry.index} after ${member.applied}`);
    }
    if (entry.type === "conf") this.#noteRemoval(member, changeOf(entry), entry.index);
    const known = this.#committed[entry.index - 1];
    if (known === undefined) {
      if (entry.index !== this.#committed.length + 1) {
        throw new Violation(`${member.id} applies ${entry.index}, nobody ${entry.index - 1}`);
      }
      this.#committed.push({ entry, term: member.node!.term });
      if (entry.type === "normal" && entry.data.length > 0) this.#machine.apply(entry.data);
      this.#mix(entry.term);
    } else if (known.entry.term !== entry.term || !equalBytes(known.entry.data, entry.data)) {
      throw new Violation(
        `${member.id} applies entry ${entry.index} of term ${entry.term}, ` +
          `another member that of term ${known.entry.term}`,
      );
    }
  }

  #noteRemoval(member: SimMember, { type, id }: ConfChange, index: number): void {
    if (type !== "remove" || id === member.id) return;
    if (member.conf.voters.includes(member.id)) {
      this.#removed.set(id, Math.max(index, this.#removed.get(id) ?? 0));
    }
  }

  /** State machine agreement, byte for byte: snapshots at the same index are equal. */
  snapshot(member: SimMember, index: number, data: Uint8Array): void {
    let expected = this.#snapshots.get(index);
    if (expected === undefined) {
      if (index > this.#committed.length) {
        throw new Violation(`${member.id} has a snapshot at ${index}, which nobody has applied`);
      }
      if (index < this.#committed.length) expected = this.#replay(index).encode();
      else expected = this.#machine.encode();
      this.#snapshots.set(index, expected);
    }
    if (!equalBytes(expected, data)) {
      throw new Violation(`the state of ${member.id} at ${index} differs from the others'`);
    }
  }

  #replay(index: number): Machine {
    const machine = new Machine();
    for (const { entry } of this.#committed.slice(0, index)) {
      if (entry.type === "normal" && entry.data.length > 0) machine.apply(entry.data);
    }
    return machine;
  }

  /** One vote per term and member (5.2). */
  message(m: Message): void {
    this.#mix(m.term);
    if (m.type !== "vote-reply" || m.reject) return;
    const key = `${m.from} ${m.term}`;
    const voted = this.#votes.get(key);
    if (voted !== undefined && voted !== m.to) {
      throw new Violation(`${m.from} voted for ${voted} and ${m.to} in term ${m.term}`);
    }
    this.#votes.set(key, m.to);
  }

  /** Whether a removal of `id` behind entry `since` is in force on a voter that stays. */
  removed(id: RaftId, since: number): boolean {
    return (this.#removed.get(id) ?? 0) > since;
  }

  proposed(id: number, where: { index: number; term: number }): void {
    this.#proposals.set(id, where);
  }

  /** Nothing acknowledged is lost, and nothing refused is there. `ids` are attempts. */
  acknowledged(ids: readonly number[], failed: readonly number[]): void {
    const present = new Set<number>();
    for (const { entry } of this.#committed) {
      if (entry.type !== "normal" || entry.data.length === 0) continue;
      present.add(decodeCommand(entry.data)[0]);
    }
    for (const id of ids) {
      if (present.has(id)) continue;
      const where = this.#proposals.get(id);
      throw new Violation(`write ${id} was acknowledged at ${where?.index} and is lost`);
    }
    for (const id of failed) {
      if (present.has(id)) throw new Violation(`write ${id} was refused and took effect`);
    }
  }

  /** In the end everybody has everything, and the same. */
  agreed(members: readonly SimMember[]): void {
    const expected = this.#machine.encode();
    for (const member of members) {
      if (member.applied !== this.#committed.length) {
        throw new Violation(`${member.id} applied ${member.applied} of ${this.#committed.length}`);
      }
      if (!equalBytes(member.machine.encode(), expected)) {
        throw new Violation(`the state of ${member.id} differs from the others'`);
      }
    }
  }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A few lines per operation of a key whose history is impossible. */
export function formatHistory(events: readonly HistoryEvent[]): string {
  return events.map((e) => {
    const { kind, ...rest } = e.op;
    const args = Object.entries(rest).filter(([k]) => k !== "key").map(([k, v]) => `${k}=${v}`);
    const end = e.return === Infinity ? "?" : String(e.return);
    return `  [${e.call} .. ${end}] client ${e.client}: ${kind} ${args.join(" ")} -> ${e.output}`;
  }).join("\n");
}
