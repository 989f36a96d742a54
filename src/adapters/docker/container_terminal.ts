import { FleetError } from "../../base/errors.ts";
import { engineJson } from "./engine.ts";
import type { EngineApi } from "./engine.ts";
import { engineCall } from "./engine.ts";

/** What goes into the terminal: what is typed, or its new size. */
export type TerminalInput =
  | { readonly data: Uint8Array }
  | { readonly columns: number; readonly rows: number };

/** A longer head is no answer of an engine. */
const MAX_HEAD_BYTES = 64 * 1024;
const BUFFER_BYTES = 32 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Runs a command in a terminal in a container. The engine turns the request's connection into the terminal
 * (`POST /exec/{id}/start` with an upgrade), so it is spoken here on a connection of its own.
 * @throws EngineError, FleetError unavailable
 */
export async function runInTerminal(
  engine: EngineApi,
  container: string,
  command: string,
  input: AsyncIterable<TerminalInput>,
  signal: AbortSignal,
): Promise<{ status: number; contentType: string; body: AsyncIterable<Uint8Array> }> {
  const { Id } = await engineJson<{ Id: string }>(engine, "POST", `/containers/${container}/exec`, {
    body: {
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
      Env: ["TERM=xterm-256color"],
      Cmd: words(command),
    },
    signal,
  });
  const connection = await Deno.connect({ transport: "unix", path: engine.socket });
  const close = () => {
    try {
      connection.close();
    } catch {
      // Closed already.
    }
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    const rest = await start(connection, Id);
    void typeInto(engine, connection, Id, input, signal).catch(() => {});
    return {
      status: 200,
      contentType: "application/vnd.docker.raw-stream",
      body: outputOf(connection, rest, close),
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** A command line without quoting: what needs more is typed in the shell. */
function words(command: string): string[] {
  const found = command.split(/\s+/).filter(Boolean);
  if (found.length === 0) throw new FleetError("invalid", "a terminal needs a command");
  return found;
}

/** Asks for the terminal; what of it came with the answer's head. */
async function start(connection: Deno.UnixConn, id: string): Promise<Uint8Array> {
  const body = JSON.stringify({ Detach: false, Tty: true });
  await writeAll(
    connection,
    encoder.encode(
      `POST /exec/${id}/start HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n${body}`,
    ),
  );
  let head = new Uint8Array(0);
  const buffer = new Uint8Array(BUFFER_BYTES);
  for (;;) {
    const n = await connection.read(buffer);
    if (n === null || head.length > MAX_HEAD_BYTES) {
      throw new FleetError("unavailable", "the engine ended the terminal before it began");
    }
    const grown = new Uint8Array(head.length + n);
    grown.set(head);
    grown.set(buffer.subarray(0, n), head.length);
    head = grown;
    const text = decoder.decode(head);
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) continue;
    if (!/^HTTP\/1\.1 (101|200) /.test(text)) {
      throw new FleetError(
        "unavailable",
        `the engine refused the terminal: ${text.slice(end + 4)}`,
      );
    }
    return head.slice(encoder.encode(text.slice(0, end + 4)).length);
  }
}

async function* outputOf(
  connection: Deno.UnixConn,
  first: Uint8Array,
  close: () => void,
): AsyncIterable<Uint8Array> {
  try {
    if (first.length > 0) yield first;
    const buffer = new Uint8Array(BUFFER_BYTES);
    for (;;) {
      const n = await connection.read(buffer).catch(() => null);
      if (n === null) return;
      yield buffer.slice(0, n);
    }
  } finally {
    close();
  }
}

async function typeInto(
  engine: EngineApi,
  connection: Deno.UnixConn,
  id: string,
  input: AsyncIterable<TerminalInput>,
  signal: AbortSignal,
): Promise<void> {
  for await (const item of input) {
    if (signal.aborted) return;
    if ("data" in item) await writeAll(connection, item.data);
    else {
      await engineCall(engine, "POST", `/exec/${id}/resize?h=${item.rows}&w=${item.columns}`, {
        signal,
      }).catch(() => {});
    }
  }
  connection.close();
}

async function writeAll(to: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
}
