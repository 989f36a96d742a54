import { assert, must } from "../../base/assert.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { ConfChange, ConfState, Entry, HardState, RaftId } from "./types.ts";

/** First byte of an encoded change. */
const FORMAT = 1;
/** Positions are on disk: only ever append. */
const TYPES: readonly ConfChange["type"][] = [
  "add-learner",
  "promote",
  "remove",
  "add-voter",
];

export const EMPTY_CONF: ConfState = { voters: [], learners: [] };

/** The `data` of a `conf` entry. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const out = new ByteWriter(64);
  out.uint(FORMAT);
  out.uint(TYPES.indexOf(change.type));
  out.text(change.id);
  out.bytes(change.context ?? new Uint8Array());
  return out.finish();
}

/** @throws FleetError corrupt, also for a format or type that this program does not know */
export function decodeConfChange(data: Uint8Array): ConfChange {
  const input = new ByteReader(data, "membership change");
  const format = input.uint();
  if (format !== FORMAT) throw input.corrupt(`its format ${format} is unknown to this version`);
  const type = TYPES[input.uint()];
  if (type === undefined) throw input.corrupt("its type is unknown to this version");
  const id = input.text();
  const context = input.bytes();
  input.end();
  return context.length > 0 ? { type, id, context } : { type, id };
}

/** The members after `change`. Changes that do not fit (removing a stranger) leave them as they are. */
export function applyToConf(conf: ConfState, change: ConfChange): ConfState {
  const voters = new Set(conf.voters);
  const learners = new Set(conf.learners);
  const { id } = change;
  switch (change.type) {
    case "add-learner":
      if (!voters.has(id)) learners.add(id);
      break;
    case "add-voter":
    case "promote":
      if (change.type === "promote" && !learners.has(id)) break;
      learners.delete(id);
      voters.add(id);
      break;
    case "remove":
      learners.delete(id);
      // A group without voters could never decide anything again.
      if (voters.size > 1 || !voters.has(id)) voters.delete(id);
      break;
  }
  return { voters: [...voters].sort(), learners: [...learners].sort() };
}

export function isMember(conf: ConfState, id: RaftId): boolean {
  return conf.voters.includes(id) || conf.learners.includes(id);
}

/**
 * The first entries of a new cluster, the same on every founding member: each adds one voter. They count
 * as committed from the start. A cluster made by `fleet init` has one founder.
 */
export function bootstrap(
  founders: readonly RaftId[],
): { readonly entries: readonly Entry[]; readonly hardState: HardState } {
  assert(founders.length > 0, "a cluster needs a founder");
  const entries = [...founders].sort().map((id, i): Entry => ({
    index: i + 1,
    term: 1,
    type: "conf",
    data: encodeConfChange({ type: "add-voter", id }),
  }));
  return { entries, hardState: { term: 1, vote: "", commit: entries.length } };
}

/** The change in a `conf` entry. */
export function changeOf(entry: Entry): ConfChange {
  assert(entry.type === "conf", `entry ${entry.index} is no membership change`);
  return decodeConfChange(must(entry.data, "data"));
}
