import { ByteReader, ByteWriter } from "./bytes.ts";
import type { MessageType } from "./message.ts";
import type { ConfState, Entry, EntryType, Message, RaftId, Snapshot } from "./types.ts";

/** First byte of an encoded message. Members that disagree on it cannot talk. */
const FORMAT = 1;
/** Positions go over the wire: only ever append. */
const TYPES: readonly MessageType[] = [
  "pre-vote",
  "pre-vote-reply",
  "vote",
  "vote-reply",
  "append",
  "append-reply",
  "heartbeat",
  "heartbeat-reply",
  "snapshot",
  "timeout-now",
  "transfer",
  "read-index",
  "read-index-reply",
];
const ENTRY_TYPES: readonly EntryType[] = ["normal", "conf"];
/** Framing and fields of a message besides entries, snapshot and the like: for the first buffer. */
const MESSAGE_OVERHEAD_BYTES = 128;

/** One message as bytes; the transport frames it. */
export function encodeMessage(m: Message): Uint8Array {
  const out = new ByteWriter(sizeHint(m));
  out.uint(FORMAT);
  out.uint(TYPES.indexOf(m.type));
  out.text(m.from);
  out.text(m.to);
  out.uint(m.term);
  switch (m.type) {
    case "pre-vote":
    case "vote":
      out.uint(m.lastIndex);
      out.uint(m.lastTerm);
      out.uint(m.force ? 1 : 0);
      out.uint(m.expect);
      break;
    case "pre-vote-reply":
    case "vote-reply":
      out.uint(m.reject ? 1 : 0);
      out.uint(m.expect);
      out.uint(m.commit);
      out.uint(m.commitTerm);
      break;
    case "append":
      out.uint(m.prevIndex);
      out.uint(m.prevTerm);
      out.uint(m.commit);
      out.uint(m.expect);
      out.uint(m.entries.length);
      for (const entry of m.entries) {
        // Indexes follow from `prevIndex`.
        out.uint(entry.term);
        out.uint(ENTRY_TYPES.indexOf(entry.type));
        out.bytes(entry.data);
      }
      break;
    case "append-reply":
      out.uint(m.reject ? 1 : 0);
      out.uint(m.index);
      out.uint(m.hintIndex);
      out.uint(m.hintTerm);
      out.uint(m.commit);
      break;
    case "heartbeat":
      out.uint(m.commit);
      out.uint(m.round);
      out.uint(m.expect);
      out.uint(m.known.length);
      for (const [id, index] of m.known) {
        out.text(id);
        out.uint(index);
      }
      break;
    case "heartbeat-reply":
      out.uint(m.round);
      out.uint(m.commit);
      out.uint(m.regressed ? 1 : 0);
      break;
    case "snapshot":
      out.uint(m.snapshot.meta.index);
      out.uint(m.snapshot.meta.term);
      out.bytes(encodeConfState(m.snapshot.meta.conf));
      out.bytes(m.snapshot.data);
      break;
    case "timeout-now":
      break;
    case "transfer":
      out.text(m.transferee);
      break;
    case "read-index":
      out.text(m.context);
      break;
    case "read-index-reply":
      out.text(m.context);
      out.uint(m.index);
      break;
  }
  return out.finish();
}

function sizeHint(m: Message): number {
  let bytes = MESSAGE_OVERHEAD_BYTES;
  if (m.type === "append") { for (const entry of m.entries) bytes += entry.data.length + 16; }
  if (m.type === "snapshot") bytes += m.snapshot.data.length + 1024;
  return bytes;
}

/**
 * Reads one message. Entries and snapshots are views into `bytes`, which must not change afterwards.
 * @throws FleetError corrupt
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const input = new ByteReader(bytes, "raft message");
  const format = input.uint();
  if (format !== FORMAT) throw input.corrupt(`its format ${format} is unknown to this version`);
  const type = TYPES[input.uint()];
  if (type === undefined) throw input.corrupt("its type is unknown to this version");
  const message = decodeBody(input, type);
  input.end();
  return message;
}

function decodeBody(input: ByteReader, type: MessageType): Message {
  const envelope = { from: input.text(), to: input.text(), term: input.uint() };
  switch (type) {
    case "pre-vote":
    case "vote":
      return {
        type,
        ...envelope,
        lastIndex: input.uint(),
        lastTerm: input.uint(),
        force: flag(input),
        expect: input.uint(),
      };
    case "pre-vote-reply":
    case "vote-reply":
      return {
        type,
        ...envelope,
        reject: flag(input),
        expect: input.uint(),
        commit: input.uint(),
        commitTerm: input.uint(),
      };
    case "append": {
      const prevIndex = input.uint();
      const prevTerm = input.uint();
      const commit = input.uint();
      const expect = input.uint();
      const entries = decodeEntries(input, prevIndex);
      return { type, ...envelope, prevIndex, prevTerm, entries, commit, expect };
    }
    case "append-reply":
      return {
        type,
        ...envelope,
        reject: flag(input),
        index: input.uint(),
        hintIndex: input.uint(),
        hintTerm: input.uint(),
        commit: input.uint(),
      };
    case "heartbeat": {
      const commit = input.uint();
      const round = input.uint();
      const expect = input.uint();
      const known: [RaftId, number][] = [];
      for (let n = input.count(); n > 0; n--) known.push([input.text(), input.uint()]);
      return { type, ...envelope, commit, round, expect, known };
    }
    case "heartbeat-reply":
      return {
        type,
        ...envelope,
        round: input.uint(),
        commit: input.uint(),
        regressed: flag(input),
      };
    case "snapshot":
      return { type, ...envelope, snapshot: decodeSnapshot(input) };
    case "timeout-now":
      return { type, ...envelope };
    case "transfer":
      return { type, ...envelope, transferee: input.text() };
    case "read-index":
      return { type, ...envelope, context: input.text() };
    case "read-index-reply":
      return { type, ...envelope, context: input.text(), index: input.uint() };
  }
}

function decodeEntries(input: ByteReader, prevIndex: number): Entry[] {
  const count = input.count();
  const entries: Entry[] = [];
  for (let i = 1; i <= count; i++) {
    const term = input.uint();
    const type = ENTRY_TYPES[input.uint()];
    if (type === undefined) {
      throw input.corrupt(`the type of entry ${prevIndex + i} is unknown to this version`);
    }
    entries.push({ index: prevIndex + i, term, type, data: input.bytes() });
  }
  return entries;
}

function decodeSnapshot(input: ByteReader): Snapshot {
  const index = input.uint();
  const term = input.uint();
  const conf = decodeConfState(input.bytes());
  return { meta: { index, term, conf }, data: input.bytes() };
}

function flag(input: ByteReader): boolean {
  const value = input.uint();
  if (value > 1) throw input.corrupt("a flag is neither yes nor no");
  return value === 1;
}

/** A membership as bytes, for snapshots. */
export function encodeConfState(conf: ConfState): Uint8Array {
  const out = new ByteWriter();
  for (const ids of [conf.voters, conf.learners]) {
    out.uint(ids.length);
    for (const id of ids) out.text(id);
  }
  return out.finish();
}

/** @throws FleetError corrupt */
export function decodeConfState(bytes: Uint8Array): ConfState {
  const input = new ByteReader(bytes, "membership");
  const lists = [0, 1].map(() => {
    const ids: RaftId[] = [];
    for (let n = input.count(); n > 0; n--) ids.push(input.text());
    return ids;
  });
  input.end();
  return { voters: lists[0]!, learners: lists[1]! };
}
