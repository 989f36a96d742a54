import type { Task } from "../../model/task.ts";
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
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const SPACE = 32;
const LONGEST_TIME = 40;

/** Takes a message apart that the engine was asked for with its time. */
export function lineOf(task: Task, { stream, payload }: LogFrame): LogLine {
  const end = payload.subarray(0, LONGEST_TIME).indexOf(SPACE);
  if (end < 0) return { task, stream, time: "", message: payload };
  const time = decoder.decode(payload.subarray(0, end));
  return { task, stream, time: evenWidth(time), message: payload.subarray(end + 1) };
}

/** `…:05.1Z` as `…:05.100000000Z`. */
function evenWidth(time: string): string {
  const [, start = "", fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return start === "" ? time : `${start}.${fraction.padEnd(9, "0")}Z`;
}

/** The message as clients get it: `[time ][details ]message`. */
export function lineBytes({ task, time, message }: LogLine, format: LineFormat): Uint8Array {
  const details = format.details
    ? [
      `com.docker.swarm.node.id=${task.NodeID ?? ""}`,
      `com.docker.swarm.service.id=${task.ServiceID ?? ""}`,
      `com.docker.swarm.task.id=${task.ID}`,
    ].join(",") + " "
    : "";
  const head = encoder.encode(`${format.timestamps ? `${time} ` : ""}${details}`);
  const bytes = new Uint8Array(head.length + message.length);
  bytes.set(head);
  bytes.set(message, head.length);
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

/**
 * Lines of several tasks in the order of their times. Holds one line of each at a time; the streams wait
 * meanwhile.
 */
export async function* merged(
  sources: readonly AsyncGenerator<LogLine>[],
): AsyncGenerator<LogLine> {
  const heads = await Promise.all(sources.map((source) => source.next()));
  try {
    for (;;) {
      let first = -1;
      for (const [i, head] of heads.entries()) {
        if (head.done) continue;
        const best = heads[first];
        if (first < 0 || (!best!.done && head.value.time < best!.value.time)) first = i;
      }
      if (first < 0) return;
      yield heads[first]!.value;
      heads[first] = await sources[first]!.next();
    }
  } finally {
    for (const source of sources) void source.return(undefined);
  }
}

/** The newest `count` lines. */
export async function newest(
  lines: AsyncGenerator<LogLine>,
  count: number,
): Promise<readonly LogLine[]> {
  const kept: LogLine[] = [];
  for await (const line of lines) {
    kept.push(line);
    // Cutting now and then costs less than shifting at every line.
    if (kept.length > 2 * count + 64) kept.splice(0, kept.length - count);
  }
  return count === 0 ? [] : kept.slice(-count);
}
