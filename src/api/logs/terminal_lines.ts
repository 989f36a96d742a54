import { joined, STDOUT } from "./frames.ts";
import type { LogFrame } from "./frames.ts";

/** The engine cuts what has no line's end after so many bytes and notes a time for each piece. */
const PIECE_BYTES = 16 * 1024;
/** Longer lines than any engine gives are taken as they come. */
const MAX_LINE_BYTES = 1024 * 1024;
/** Lines that are taken apart at once. */
const MAX_BATCH = 256;
const NEWLINE = 10;
/** `2026-01-01T00:00:00.000000000Z ` before a message. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z /;
const LONGEST_TIME = 40;
const ascii = new TextDecoder("latin1");

/**
 * A terminal's log, which has no frames, as messages with their times: the engine was asked for times, and
 * one stands where each message begins. What has no newline comes when the log ends.
 */
export async function* readTerminalLines(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly LogFrame[]> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of body) {
    // What was looked at before has no newline.
    const bytes = rest.length === 0 ? chunk : joined(rest, chunk);
    let lines: LogFrame[] = [];
    let start = 0;
    for (let from = rest.length; from < bytes.length;) {
      const end = bytes.indexOf(NEWLINE, from) + 1;
      if (end === 0) break;
      for (const payload of messagesOf(bytes.subarray(start, end))) {
        lines.push({ stream: STDOUT, payload });
      }
      start = from = end;
      if (lines.length >= MAX_BATCH) {
        yield lines;
        lines = [];
      }
    }
    if (lines.length > 0) yield lines;
    rest = bytes.slice(start);
    if (rest.length > MAX_LINE_BYTES) {
      yield messagesOf(rest).map((payload) => ({ stream: STDOUT, payload }));
      rest = new Uint8Array(0);
    }
  }
  if (rest.length > 0) yield messagesOf(rest).map((payload) => ({ stream: STDOUT, payload }));
}

/** A line that was cut into several messages has a time before each of them. */
function messagesOf(line: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at < line.length;) {
    const next = at + timeBytes(line, at) + PIECE_BYTES;
    const end = next < line.length && timeBytes(line, next) > 0 ? next : line.length;
    messages.push(line.subarray(at, end));
    at = end;
  }
  return messages;
}

function timeBytes(line: Uint8Array, at: number): number {
  const start = ascii.decode(line.subarray(at, at + LONGEST_TIME));
  return TIME.exec(start)?.[0].length ?? 0;
}
