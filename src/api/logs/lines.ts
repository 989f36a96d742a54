import type { Task } from "../../model/task.ts";
import { HEAD_BYTES, writeHead } from "./frames.ts";
import type { LogFrame } from "./frames.ts";

/** One message of one task, with the time that its engine noted. */
export interface LogLine {
  readonly task: Task;
  readonly stream: number;
  /** RFC 3339 with nanoseconds and of one width, so that texts sort as times do. */
  readonly time: string;
  /** With its newline, if it had one. */
  readonly message: Uint8Array;
}

export interface LineFormat {
  readonly timestamps: boolean;
  readonly details: boolean;
  /** False for the log of a terminal: nothing but the lines themselves. */
  readonly framed: boolean;
}

/** Bytes that leave at once, one line excepted that is longer. */
const MAX_PIECE_BYTES = 64 * 1024;
/** Lines that are put in order before the first of them leaves. */
const MAX_MERGED = 1_024;
const encoder = new TextEncoder();
const ascii = new TextDecoder("latin1");
const SPACE = 32;
const LONGEST_TIME = 40;
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;
const TIME_BYTES = "2026-01-01T00:00:00.000000000Z".length;

/** Takes a message apart that the engine was asked for with its time. */
export function lineOf(task: Task, { stream, payload }: LogFrame): LogLine {
  const end = payload.subarray(0, LONGEST_TIME).indexOf(SPACE);
  const [whole, start = "", fraction = ""] = TIME.exec(
    end < 0 ? "" : ascii.decode(payload.subarray(0, end)),
  ) ?? [];
  if (whole === undefined) return { task, stream, time: "", message: payload };
  const time = whole.length === TIME_BYTES ? whole : `${start}.${fraction.padEnd(9, "0")}Z`;
  return { task, stream, time, message: payload.subarray(end + 1) };
}

/**
 * Lines as clients get them, each `[time ][details ]message` in a frame of its own or in none: as many in one
 * piece as there are, up to 64 KiB.
 */
export function* inPieces(lines: readonly LogLine[], format: LineFormat): Generator<Uint8Array> {
  const details = new Map<Task, Uint8Array>();
  let from = 0;
  let bytes = 0;
  for (const [i, line] of lines.entries()) {
    const own = lineBytes(line, format, details);
    if (i > from && bytes + own > MAX_PIECE_BYTES) {
      yield piece(lines.slice(from, i), bytes, format, details);
      from = i;
      bytes = 0;
    }
    bytes += own;
  }
  if (from < lines.length) yield piece(lines.slice(from), bytes, format, details);
}

function lineBytes(line: LogLine, format: LineFormat, details: Map<Task, Uint8Array>): number {
  return (format.framed ? HEAD_BYTES : 0) + (format.timestamps ? line.time.length + 1 : 0) +
    (format.details ? detailsOf(line.task, details).length : 0) + line.message.length;
}

function detailsOf(task: Task, known: Map<Task, Uint8Array>): Uint8Array {
  let bytes = known.get(task);
  if (!bytes) {
    const words = [
      `com.docker.swarm.node.id=${task.NodeID ?? ""}`,
      `com.docker.swarm.service.id=${task.ServiceID ?? ""}`,
      `com.docker.swarm.task.id=${task.ID}`,
    ];
    bytes = encoder.encode(`${words.join(",")} `);
    known.set(task, bytes);
  }
  return bytes;
}

function piece(
  lines: readonly LogLine[],
  length: number,
  format: LineFormat,
  details: Map<Task, Uint8Array>,
): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const line of lines) {
    if (format.framed) {
      writeHead(bytes, at, line.stream, lineBytes(line, format, details) - HEAD_BYTES);
      at += HEAD_BYTES;
    }
    if (format.timestamps) {
      at += encoder.encodeInto(line.time, bytes.subarray(at)).written;
      bytes[at++] = SPACE;
    }
    if (format.details) {
      const words = detailsOf(line.task, details);
      bytes.set(words, at);
      at += words.length;
    }
    bytes.set(line.message, at);
    at += line.message.length;
  }
  return bytes;
}

/** The moment after `time` in the engine's words, seconds and nanoseconds: what was seen comes not again. */
export function after(time: string): string {
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return "0";
  const nanos = Number(/\.(\d{9})Z$/.exec(time)?.[1] ?? "0") + 1;
  const seconds = Math.floor(ms / 1000) + Math.floor(nanos / 1e9);
  return `${seconds}.${String(nanos % 1e9).padStart(9, "0")}`;
}

/** Lines of one task, in their order, as many at a time as have come. */
export type LineSource = AsyncGenerator<readonly LogLine[]>;

/**
 * Lines of several tasks in the order of their times. Holds what has come of each, once; the streams wait
 * meanwhile. What is in order leaves before more is waited for.
 */
export async function* merged(sources: readonly LineSource[]): LineSource {
  try {
    const heads = await Promise.all(sources.map(async (source) => ({
      source,
      lines: await nextLines(source),
      at: 0,
    })));
    let out: LogLine[] = [];
    for (;;) {
      const first = earliest(heads);
      if (!first) return;
      const { head, until } = first;
      do out.push(head.lines![head.at++]!); while (
        head.at < head.lines!.length && head.lines![head.at]!.time < until &&
        out.length < MAX_MERGED
      );
      const empty = head.at === head.lines!.length;
      if (empty || out.length >= MAX_MERGED) {
        yield out;
        out = [];
      }
      if (empty) {
        head.lines = await nextLines(head.source);
        head.at = 0;
      }
    }
  } finally {
    for (const source of sources) void source.return(undefined);
  }
}

interface Head {
  readonly source: LineSource;
  /** Undefined at the end. */
  lines: readonly LogLine[] | undefined;
  at: number;
}

/** The one whose next line comes first, and the time of the first line of the others. */
function earliest(heads: readonly Head[]): { head: Head; until: string } | undefined {
  let first: Head | undefined;
  let time = "";
  let until = "\uffff";
  for (const head of heads) {
    const own = head.lines?.[head.at]?.time;
    if (own === undefined) continue;
    if (!first || own < time) {
      if (first) until = time;
      first = head;
      time = own;
    } else if (own < until) until = own;
  }
  return first && { head: first, until };
}

async function nextLines(source: LineSource): Promise<readonly LogLine[] | undefined> {
  for (;;) {
    const next = await source.next();
    if (next.done) return undefined;
    if (next.value.length > 0) return next.value;
  }
}

/** The newest `count` lines. */
export async function newest(lines: LineSource, count: number): Promise<readonly LogLine[]> {
  let kept: LogLine[] = [];
  for await (const some of lines) {
    for (const line of some) kept.push(line);
    // Cutting now and then costs less than at every line.
    if (kept.length > 2 * count + MAX_MERGED) kept = kept.slice(kept.length - count);
  }
  return count === 0 ? [] : kept.slice(-count);
}
