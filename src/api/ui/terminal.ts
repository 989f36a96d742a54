import type { Context } from "hono";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Backend, TerminalInput } from "../backend.ts";
import type { UiSession } from "./sessions.ts";

/** The platform's way from a request to a socket. */
export type WebSocketUpgrade = (
  request: Request,
  options: { protocol: string },
) => { socket: WebSocket; response: Response };

/** Messages of a person that wait for the node; nobody types faster, so more is no person. */
const MAX_WAITING = 1_024;
/** Bytes that a browser has not taken yet; more, and the command waits. */
const MAX_BUFFERED = 1024 * 1024;
const BUFFERED_LOOK_MS = 20;
const MAX_TERMINALS = 64;
let open = 0;

/**
 * A terminal in a task's container on whichever node: binary messages are bytes both ways, a text message
 * from the browser is the new size as `[columns, rows]`, and one to the browser why it ended.
 */
export function openTerminal(
  c: Context,
  { backend, session, upgrade }: {
    backend: Backend;
    session: UiSession;
    upgrade: WebSocketUpgrade;
  },
): Response {
  if (session.role !== "operator") {
    throw new FleetError("forbidden", "this session may only look: get a link with fleet ui");
  }
  // A page can set no header on a socket: the token travels as the name of the protocol.
  const protocol = `fleet.${session.csrf}`;
  if (c.req.header("sec-websocket-protocol") !== protocol) {
    throw new FleetError("forbidden", "this request does not come from the dashboard's own page");
  }
  if (open >= MAX_TERMINALS) {
    throw new FleetError("unavailable", `${MAX_TERMINALS} terminals are open already`);
  }
  const command = c.req.query("command") || "sh";
  const { socket, response } = upgrade(c.req.raw, { protocol });
  open++;
  // It is in the audit log before anything is typed.
  void run(backend, c.req.param("task")!, command, socket).finally(() => open--);
  return response;
}

async function run(
  backend: Backend,
  taskId: string,
  command: string,
  socket: WebSocket,
): Promise<void> {
  const controller = new AbortController();
  const input = new InputQueue();
  const opened = Promise.withResolvers<void>();
  socket.binaryType = "arraybuffer";
  socket.onopen = () => opened.resolve();
  socket.onmessage = ({ data }) => {
    const message = decodeMessage(data);
    if (!message || !input.push(message)) controller.abort(new Error("too much input"));
  };
  socket.onclose = socket.onerror = () => {
    opened.resolve();
    input.end();
    controller.abort(new Error("the page was closed"));
  };
  await opened.promise;
  let said = "the command has ended";
  try {
    await backend.call("terminal.open", { id: taskId, command }, controller.signal);
    const path = `exec?${new URLSearchParams({ command })}`;
    const answer = await backend.askTask(taskId, path, controller.signal, input);
    for await (const chunk of answer.body) {
      if (socket.readyState !== WebSocket.OPEN) break;
      socket.send(chunk as Uint8Array<ArrayBuffer>);
      while (socket.bufferedAmount > MAX_BUFFERED && socket.readyState === WebSocket.OPEN) {
        await new Promise((resolve) => setTimeout(resolve, BUFFERED_LOOK_MS));
      }
    }
  } catch (error) {
    said = messageOf(error);
  } finally {
    input.end();
    controller.abort();
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(said);
      socket.close(1000);
    }
  }
}

function decodeMessage(data: unknown): TerminalInput | undefined {
  if (data instanceof ArrayBuffer) return { data: new Uint8Array(data) };
  try {
    const [columns, rows] = JSON.parse(String(data)) as unknown[];
    const sane = (n: unknown): n is number =>
      Number.isInteger(n) && Number(n) > 0 && Number(n) < 2_000;
    return sane(columns) && sane(rows) ? { columns, rows } : undefined;
  } catch {
    return undefined;
  }
}

/** What was typed and has not been sent yet. */
class InputQueue implements AsyncIterable<TerminalInput> {
  readonly #items: TerminalInput[] = [];
  #wake: () => void = () => {};
  #ended = false;

  push(item: TerminalInput): boolean {
    if (this.#items.length >= MAX_WAITING) return false;
    this.#items.push(item);
    this.#wake();
    return true;
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<TerminalInput> {
    for (;;) {
      const item = this.#items.shift();
      if (item) yield item;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
