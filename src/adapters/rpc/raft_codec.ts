/**
 * Raft messages as bytes. A batch is a version, both ids once, and the messages behind one another;
 * entries of an append that continue the log in the same term cost one byte besides length and data.
 * Snapshots do not travel in batches: `snapshotHead` describes one, its data follows in chunks.
 */
import { unreachable } from "../../base/assert.ts";
import type {
  Append,
  AppendReply,
  Heartbeat,
  InstallSnapshot,
  Message,
  VoteReply,
  VoteRequest,
} from "../../core/raft/message.ts";
import type { Entry, RaftId } from "../../core/raft/types.ts";
import { ByteReader, ByteWriter, MalformedBytes } from "./byte_codec.ts";

/** Rises with every change that an older manager could not read. */
export const RAFT_CODEC_VERSION = 1;

/** What a batch can carry. */
export type BatchMessage = Exclude<Message, InstallSnapshot>;

const TAGS = {
  "pre-vote": 1,
  "vote": 2,
  "pre-vote-reply": 3,
  "vote-reply": 4,
  "append": 5,
  "append-reply": 6,
  "heartbeat": 7,
  "heartbeat-reply": 8,
  "timeout-now": 9,
  "transfer": 10,
  "read-index": 11,
  "read-index-reply": 12,
} as const satisfies Record<BatchMessage["type"], number>;

const TYPES = new Map<number, BatchMessage["type"]>(
  Object.entries(TAGS).map(([type, tag]) => [tag, type as BatchMessage["type"]]),
);

const ENTRY_CONF = 1;
const ENTRY_NEXT_INDEX = 2;
const ENTRY_SAME_TERM = 4;
const INITIAL_CAPACITY = 512;
const MIN_ENTRY_BYTES = 2;
const MIN_KNOWN_BYTES = 2;

/** Collects messages from `from` to `to`. */
export class BatchEncoder {
  #writer: ByteWriter | undefined;
  #count = 0;

  constructor(readonly from: RaftId, readonly to: RaftId) {}

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#writer?.out.length ?? 0;
  }

  add(message: BatchMessage): void {
    if (!this.#writer) {
      this.#writer = new ByteWriter(INITIAL_CAPACITY);
      this.#writer.u8(RAFT_CODEC_VERSION);
      this.#writer.text(this.from);
      this.#writer.text(this.to);
    }
    this.#count++;
    writeMessage(this.#writer, message);
  }

  /** The batch; the encoder starts a new one. */
  take(): Uint8Array {
    const bytes = this.#writer?.out.take() ?? new Uint8Array(0);
    this.#writer = undefined;
    this.#count = 0;
    return bytes;
  }
}

export interface Batch {
  readonly from: RaftId;
  readonly to: RaftId;
  readonly messages: readonly BatchMessage[];
}

/** Never throws: what cannot be read comes back as a sentence. Entries are views into `bytes`. */
export function decodeBatch(bytes: Uint8Array): Batch | string {
  try {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== RAFT_CODEC_VERSION) {
      return `raft messages of version ${version}; this manager speaks ${RAFT_CODEC_VERSION}`;
    }
    const from = reader.text();
    const to = reader.text();
    const messages: BatchMessage[] = [];
    while (reader.remaining > 0) messages.push(readMessage(reader, from, to));
    return { from, to, messages };
  } catch (error) {
    if (error instanceof MalformedBytes) return `malformed raft message: ${error.message}`;
    throw error;
  }
}

function writeMessage(writer: ByteWriter, message: BatchMessage): void {
  writer.u8(TAGS[message.type]);
  writer.varint(message.term);
  switch (message.type) {
    case "pre-vote":
    case "vote":
      return writeVoteRequest(writer, message);
    case "pre-vote-reply":
    case "vote-reply":
      writer.u8(message.reject ? 1 : 0);
      writer.varint(message.expect);
      writer.varint(message.commit);
      return writer.varint(message.commitTerm);
    case "append":
      return writeAppend(writer, message);
    case "append-reply":
      writer.u8(message.reject ? 1 : 0);
      writer.varint(message.index);
      writer.varint(message.hintIndex);
      writer.varint(message.hintTerm);
      return writer.varint(message.commit);
    case "heartbeat":
      return writeHeartbeat(writer, message);
    case "heartbeat-reply":
      writer.varint(message.round);
      writer.u8(message.regressed ? 1 : 0);
      return writer.varint(message.commit);
    case "timeout-now":
      return;
    case "transfer":
      return writer.text(message.transferee);
    case "read-index":
      return writer.text(message.context);
    case "read-index-reply":
      writer.text(message.context);
      return writer.varint(message.index);
    default:
      return unreachable(message, "raft message");
  }
}

function readMessage(reader: ByteReader, from: RaftId, to: RaftId): BatchMessage {
  const tag = reader.u8();
  const type = TYPES.get(tag);
  if (type === undefined) throw new MalformedBytes(`unknown kind ${tag}`);
  const envelope = { from, to, term: reader.varint() };
  switch (type) {
    case "pre-vote":
    case "vote":
      return { type, ...envelope, ...readVoteRequest(reader) };
    case "pre-vote-reply":
    case "vote-reply":
      return { type, ...envelope, ...readVoteReply(reader) };
    case "append":
      return { type, ...envelope, ...readAppend(reader) };
    case "append-reply":
      return { type, ...envelope, ...readAppendReply(reader) };
    case "heartbeat":
      return { type, ...envelope, ...readHeartbeat(reader) };
    case "heartbeat-reply":
      return {
        type,
        ...envelope,
        round: reader.varint(),
        regressed: readFlag(reader),
        commit: reader.varint(),
      };
    case "timeout-now":
      return { type, ...envelope };
    case "transfer":
      return { type, ...envelope, transferee: reader.text() };
    case "read-index":
      return { type, ...envelope, context: reader.text() };
    case "read-index-reply":
      return { type, ...envelope, context: reader.text(), index: reader.varint() };
    default:
      return unreachable(type, "raft message");
  }
}

type Body<M> = Omit<M, "type" | "from" | "to" | "term">;

function writeVoteRequest(writer: ByteWriter, message: VoteRequest): void {
  writer.varint(message.lastIndex);
  writer.varint(message.lastTerm);
  writer.u8(message.force ? 1 : 0);
  writer.varint(message.expect);
}

function readVoteRequest(reader: ByteReader): Body<VoteRequest> {
  return {
    lastIndex: reader.varint(),
    lastTerm: reader.varint(),
    force: readFlag(reader),
    expect: reader.varint(),
  };
}

function readVoteReply(reader: ByteReader): Body<VoteReply> {
  return {
    reject: readFlag(reader),
    expect: reader.varint(),
    commit: reader.varint(),
    commitTerm: reader.varint(),
  };
}

function readAppendReply(reader: ByteReader): Body<AppendReply> {
  return {
    reject: readFlag(reader),
    index: reader.varint(),
    hintIndex: reader.varint(),
    hintTerm: reader.varint(),
    commit: reader.varint(),
  };
}

function writeHeartbeat(writer: ByteWriter, message: Heartbeat): void {
  writer.varint(message.commit);
  writer.varint(message.round);
  writer.varint(message.expect);
  writer.varint(message.known.length);
  for (const [id, index] of message.known) {
    writer.text(id);
    writer.varint(index);
  }
}

function readHeartbeat(reader: ByteReader): Body<Heartbeat> {
  const commit = reader.varint();
  const round = reader.varint();
  const expect = reader.varint();
  const known: (readonly [RaftId, number])[] = [];
  for (let n = reader.count(MIN_KNOWN_BYTES); n > 0; n--) {
    known.push([reader.text(), reader.varint()]);
  }
  return { commit, round, expect, known };
}

function writeAppend(writer: ByteWriter, message: Append): void {
  writer.varint(message.prevIndex);
  writer.varint(message.prevTerm);
  writer.varint(message.commit);
  writer.varint(message.expect);
  writer.varint(message.entries.length);
  let index = message.prevIndex;
  let term = message.prevTerm;
  for (const entry of message.entries) {
    const isNext = entry.index === index + 1;
    const isSame = entry.term === term;
    writer.u8(
      (entry.type === "conf" ? ENTRY_CONF : 0) | (isNext ? ENTRY_NEXT_INDEX : 0) |
        (isSame ? ENTRY_SAME_TERM : 0),
    );
    if (!isNext) writer.varint(entry.index);
    if (!isSame) writer.varint(entry.term);
    writer.bytes(entry.data);
    ({ index, term } = entry);
  }
}

function readAppend(reader: ByteReader): Body<Append> {
  const prevIndex = reader.varint();
  const prevTerm = reader.varint();
  const commit = reader.varint();
  const expect = reader.varint();
  const entries: Entry[] = [];
  let index = prevIndex;
  let term = prevTerm;
  for (let n = reader.count(MIN_ENTRY_BYTES); n > 0; n--) {
    const flags = reader.u8();
    if (flags > 7) throw new MalformedBytes(`entry flags ${flags}`);
    index = (flags & ENTRY_NEXT_INDEX) !== 0 ? index + 1 : reader.varint();
    if (!Number.isSafeInteger(index)) throw new MalformedBytes("an index beyond 2^53");
    if ((flags & ENTRY_SAME_TERM) === 0) term = reader.varint();
    const type = (flags & ENTRY_CONF) !== 0 ? "conf" : "normal";
    entries.push({ index, term, type, data: reader.bytes() });
  }
  return { prevIndex, prevTerm, commit, expect, entries };
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) throw new MalformedBytes(`flag of ${value}`);
  return value === 1;
}

/** What describes a snapshot before its data: the meta of the stream that carries it. */
export interface SnapshotHead {
  readonly version: number;
  readonly from: RaftId;
  readonly to: RaftId;
  readonly term: number;
  readonly index: number;
  readonly snapshotTerm: number;
  readonly voters: readonly RaftId[];
  readonly learners: readonly RaftId[];
  readonly bytes: number;
}

export function snapshotHead(message: InstallSnapshot): SnapshotHead {
  const { meta, data } = message.snapshot;
  return {
    version: RAFT_CODEC_VERSION,
    from: message.from,
    to: message.to,
    term: message.term,
    index: meta.index,
    snapshotTerm: meta.term,
    voters: meta.conf.voters,
    learners: meta.conf.learners,
    bytes: data.length,
  };
}

/** Checks what a peer sent as head; a sentence when it is none. */
export function readSnapshotHead(value: unknown): SnapshotHead | string {
  if (typeof value !== "object" || value === null) return "malformed snapshot head";
  const head = value as Record<string, unknown>;
  if (head["version"] !== RAFT_CODEC_VERSION) {
    return `snapshot of version ${head["version"]}; this manager speaks ${RAFT_CODEC_VERSION}`;
  }
  const numbers = ["term", "index", "snapshotTerm", "bytes"].every((key) => {
    const number = head[key];
    return Number.isSafeInteger(number) && (number as number) >= 0;
  });
  const ids = typeof head["from"] === "string" && typeof head["to"] === "string";
  if (!numbers || !ids || !isIdList(head["voters"]) || !isIdList(head["learners"])) {
    return "malformed snapshot head";
  }
  return head as unknown as SnapshotHead;
}

function isIdList(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => typeof id === "string");
}

export function snapshotMessage(head: SnapshotHead, data: Uint8Array): InstallSnapshot {
  const { from, to, term, index, snapshotTerm, voters, learners } = head;
  return {
    type: "snapshot",
    from,
    to,
    term,
    snapshot: { meta: { index, term: snapshotTerm, conf: { voters, learners } }, data },
  };
}
