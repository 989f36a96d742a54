import { close, writeAll } from "../../base/duplex.ts";
import type { Duplex } from "../../base/duplex.ts";
import { FleetError } from "../../base/errors.ts";
import { Dechunker } from "./chunks.ts";

export interface DirectAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Read from the engine at a time. */
const READ_BYTES = 64 * 1024;
const MAX_HEAD_BYTES = 64 * 1024;
const encoder = new TextEncoder();

/**
 * Sends a GET on a connection of its own and reads the answer as it comes. The engine writes each line of a log
 * as a chunk, and the platform's `fetch` gives each chunk by itself, at some 20 µs; here all that has come is
 * read at once. `target` has no line ends. The connection ends with the body, or with `signal`.
 * @throws FleetError unavailable when the engine ends before its answer does
 */
export async function directAnswer(
  connection: Duplex,
  target: string,
  signal: AbortSignal,
): Promise<DirectAnswer> {
  const end = () => close(connection);
  signal.addEventListener("abort", end, { once: true });
  const over = () => {
    signal.removeEventListener("abort", end);
    end();
  };
  try {
    signal.throwIfAborted();
    const request = `GET ${target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n`;
    await writeAll(connection, encoder.encode(request));
    const { head, rest } = await readHead(connection);
    const [, status] = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head) ?? [];
    if (status === undefined) throw cut();
    const header = (name: string) =>
      new RegExp(`\\r\\n${name}:[ \\t]*([^\\r]*)`, "i").exec(head)?.[1]?.trim();
    const length = /chunked$/i.test(header("transfer-encoding") ?? "")
      ? "chunked"
      : Number(header("content-length") ?? Infinity);
    return {
      status: Number(status),
      contentType: header("content-type") ?? "",
      body: bodyOf(connection, rest, length, { over, signal }),
    };
  } catch (error) {
    over();
    signal.throwIfAborted();
    throw error instanceof FleetError ? error : cut();
  }
}

async function readHead(connection: Duplex): Promise<{ head: string; rest: Uint8Array }> {
  const bytes = new Uint8Array(MAX_HEAD_BYTES);
  for (let held = 0; held < bytes.length;) {
    const count = await connection.read(bytes.subarray(held));
    if (count === null) break;
    held += count;
    const head = new TextDecoder("latin1").decode(bytes.subarray(0, held));
    const end = head.indexOf("\r\n\r\n");
    if (end >= 0) return { head: head.slice(0, end + 2), rest: bytes.slice(end + 4, held) };
  }
  throw cut();
}

async function* bodyOf(
  connection: Duplex,
  rest: Uint8Array,
  length: number | "chunked",
  { over, signal }: { over: () => void; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const chunks = length === "chunked" ? new Dechunker() : undefined;
  let left = length === "chunked" ? Infinity : length;
  try {
    const buffer = new Uint8Array(READ_BYTES);
    for (let bytes: Uint8Array = rest;;) {
      const data = chunks?.take(bytes) ?? bytes.slice(0, left);
      left -= data.length;
      if (data.length > 0) yield data;
      if (chunks?.over || left === 0) return;
      const count = await connection.read(buffer);
      if (count === null) {
        // Without chunks and length the answer ends with the connection.
        if (!chunks && left === Infinity) return;
        throw cut();
      }
      bytes = buffer.subarray(0, count);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof FleetError ? error : cut();
  } finally {
    over();
  }
}

function cut(): FleetError {
  return new FleetError("unavailable", "the Docker Engine went away before its answer ended");
}
