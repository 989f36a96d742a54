import { Buffer } from "node:buffer";
// @ts-types="./dns_packet.d.ts"
import packet from "dns-packet";
import type { DecodedPacket } from "./dns_packet.d.ts";

/** DNS messages (RFC 1035, EDNS of RFC 6891) as the server needs them; the bytes are dns-packet's. */

export interface Query {
  readonly id: number;
  readonly name: string;
  /**
   * The question as it came, for the answer: a name may hold any bytes, and dots within a label, which no
   * text gives back.
   */
  readonly question: Uint8Array;
  /** `A`, `AAAA`, `PTR`, … */
  readonly type: string;
  /** Bytes of the largest answer that the asker takes over UDP. */
  readonly udpSize: number;
  readonly edns: boolean;
  readonly recursionDesired: boolean;
}

export type Rcode = "NOERROR" | "FORMERR" | "SERVFAIL" | "NXDOMAIN" | "NOTIMP" | "REFUSED";

export type Decoded =
  | { readonly kind: "query"; readonly query: Query }
  /** Answer with this error. */
  | { readonly kind: "error"; readonly rcode: Rcode }
  /** Answer nothing: too short for a header, or itself an answer. */
  | { readonly kind: "drop" };

export interface Record {
  readonly type: "A" | "AAAA" | "PTR";
  readonly data: string;
}

const HEADER_BYTES = 12;
const RESPONSE = 0x8000;
const OPCODE_MASK = 0x7800;
const AUTHORITATIVE = 0x0400;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const RECURSION_AVAILABLE = 0x0080;
const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

/** Without EDNS (RFC 1035 4.2.1). */
const PLAIN_UDP_BYTES = 512;
/** No answer of ours is fragmented on a VXLAN path; the value of DNS flag day 2020. */
export const MAX_UDP_BYTES = 1232;

/** Reads a message off the wire; never throws. */
export function decodeQuery(bytes: Uint8Array): Decoded {
  if (bytes.length < HEADER_BYTES) return { kind: "drop" };
  const flags = word(bytes, 2);
  if (flags & RESPONSE) return { kind: "drop" };
  if (flags & OPCODE_MASK) return { kind: "error", rcode: "NOTIMP" };
  let message: DecodedPacket;
  try {
    message = packet.decode(asBuffer(bytes));
  } catch {
    return { kind: "error", rcode: "FORMERR" };
  }
  const [question] = message.questions ?? [];
  if (!question || message.questions?.length !== 1) return { kind: "error", rcode: "FORMERR" };
  if ((question.class ?? "IN") !== "IN") return { kind: "error", rcode: "REFUSED" };
  const end = questionEnd(bytes);
  // Nobody has a reason to compress the first name of a message.
  if (end === undefined) return { kind: "error", rcode: "FORMERR" };
  const opt = message.additionals?.find((record) => record.type === "OPT");
  const offered = opt?.udpPayloadSize ?? PLAIN_UDP_BYTES;
  return {
    kind: "query",
    query: {
      id: word(bytes, 0),
      name: question.name,
      question: bytes.slice(HEADER_BYTES, end),
      type: question.type,
      udpSize: Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, offered)),
      edns: opt !== undefined,
      recursionDesired: (flags & RECURSION_DESIRED) !== 0,
    },
  };
}

/**
 * An answer of our own. Negative ones carry no SOA on purpose: without it nobody caches them (RFC 2308
 * section 5), and a name that is missing now may exist in the next second.
 * @param limit bytes; an answer that is larger is cut to no records, with the truncation flag set.
 */
export function encodeAnswer(
  query: Query,
  rcode: Rcode,
  records: readonly Record[],
  ttl: number,
  limit = Infinity,
): Uint8Array {
  const encode = (answers: readonly Record[], more: number) => {
    const written = packet.encode({
      type: "response",
      id: query.id,
      flags: AUTHORITATIVE | RECURSION_AVAILABLE | RCODES[rcode] | more |
        (query.recursionDesired ? RECURSION_DESIRED : 0),
      questions: [],
      answers: answers.map(({ type, data }) => ({ name: ".", type, class: "IN", ttl, data })),
      additionals: query.edns ? [EDNS] : [],
    });
    return withQuestion(written, query.question, answers.length);
  };
  const whole = encode(records, 0);
  return whole.length <= limit ? whole : encode([], TRUNCATED);
}

/** The message with a question, and its name in the place of the empty names of `records` answers. */
function withQuestion(message: Uint8Array, question: Uint8Array, records: number): Uint8Array {
  const whole = new Uint8Array(message.length + question.length + records);
  whole.set(message.subarray(0, HEADER_BYTES));
  setWord(whole, 4, 1);
  whole.set(question, HEADER_BYTES);
  let from = HEADER_BYTES;
  let to = HEADER_BYTES + question.length;
  for (let i = 0; i < records; i++) {
    const end = from + RECORD_HEAD + word(message, from + RECORD_HEAD - 2);
    setWord(whole, to, QUESTION_NAME);
    whole.set(message.subarray(from + 1, end), to + 2);
    to += end - from + 1;
    from = end;
  }
  whole.set(message.subarray(from), to);
  return whole;
}

/** An empty name, type, class, TTL and the length of the data (RFC 1035 4.1.3). */
const RECORD_HEAD = 11;
/** A pointer to the first name after the header (RFC 1035 4.1.4). */
const QUESTION_NAME = 0xc000 | HEADER_BYTES;

const EDNS = {
  type: "OPT",
  name: ".",
  udpPayloadSize: MAX_UDP_BYTES,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** An error without the question, for a message that could not be read as one. */
export function encodeError(request: Uint8Array, rcode: Rcode): Uint8Array {
  const answer = new Uint8Array(HEADER_BYTES);
  answer.set(request.subarray(0, 2));
  const kept = word(request, 2) & (OPCODE_MASK | RECURSION_DESIRED);
  setWord(answer, 2, RESPONSE | RECURSION_AVAILABLE | kept | RCODES[rcode]);
  return answer;
}

/** The same message under another id. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  // Not `slice`: of a Buffer that is a view, and the caller's message would change with it.
  const copy = new Uint8Array(message);
  setWord(copy, 0, id);
  return copy;
}

/**
 * Whether `response` answers `request`: same id, is a response, and repeats the question byte for byte
 * but for case. An answer from anybody else is not taken (RFC 5452 section 9.1).
 */
export function answers(request: Uint8Array, response: Uint8Array): boolean {
  if (response.length < HEADER_BYTES || !(word(response, 2) & RESPONSE)) return false;
  if (word(response, 0) !== word(request, 0)) return false;
  // Servers leave the question out when they refuse the message as a whole.
  if (word(response, 4) === 0) return rcodeOf(response) !== RCODES.NOERROR;
  const end = questionEnd(request);
  if (end === undefined || response.length < end) return false;
  for (let i = HEADER_BYTES; i < end; i++) {
    if (lower(request[i]!) !== lower(response[i]!)) return false;
  }
  return true;
}

/** Whether another server may know better (SERVFAIL and REFUSED say nothing about the name). */
export function isRefusal(response: Uint8Array): boolean {
  const rcode = rcodeOf(response);
  return rcode === RCODES.SERVFAIL || rcode === RCODES.REFUSED;
}

function rcodeOf(message: Uint8Array): number {
  return message[3]! & 0x0f;
}

function questionEnd(message: Uint8Array): number | undefined {
  for (let at = HEADER_BYTES; at < message.length;) {
    const length = message[at]!;
    if (length === 0) return at + 5 <= message.length ? at + 5 : undefined;
    if (length > 63) return undefined;
    at += length + 1;
  }
  return undefined;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function setWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
