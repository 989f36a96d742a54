import { FleetError } from "../base/errors.ts";
import type { RpcStream } from "./rpc.ts";

/** A question about one task's container, for the engine of the node that runs it, or about a node. */
export interface TaskQuestion {
  /** Empty for a question about a node. */
  readonly taskId: string;
  /** The node that is asked about itself. */
  readonly nodeId?: string;
  /**
   * What of the container, with its query: `logs?stdout=1`, `json`, `top`, `stats?stream=0`,
   * `exec?command=sh`; of a node `about`, `health`, `reach?address=…`, `upgrade?source=…`.
   */
  readonly path: string;
  /** The rest of a request's head, for a conversation in bytes instead of an answer. */
  readonly exchange?: ExchangeHead;
}

/** What of a request's head goes to another node's engine. */
export interface ExchangeHead {
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
}

/** What goes into a command that runs in a terminal: what is typed, or the terminal's new size. */
export type TaskInput =
  | { readonly data: Uint8Array }
  | { readonly columns: number; readonly rows: number };

/** The engine's answer, as it comes. */
export interface TaskAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Bytes of one message; what is longer goes in pieces. */
const PIECE_BYTES = 32 * 1024;

/** Sends an answer: head, then pieces of the body in base64. Waits for a reader who is slow. */
export async function sendAnswer(stream: RpcStream, answer: TaskAnswer): Promise<void> {
  await stream.send({ status: answer.status, contentType: answer.contentType });
  for await (const chunk of answer.body) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      await stream.send({ data: chunk.subarray(at, at + PIECE_BYTES).toBase64() });
    }
  }
  await stream.end();
}

/** Sends what is typed until there is no more or the stream is over. Waits for a reader who is slow. */
export async function sendInput(
  stream: RpcStream,
  input: AsyncIterable<TaskInput>,
): Promise<void> {
  for await (const item of input) {
    if (stream.signal.aborted) return;
    if (!("data" in item)) await stream.send({ columns: item.columns, rows: item.rows });
    else {
      for (let at = 0; at < item.data.length; at += PIECE_BYTES) {
        await stream.send({ data: item.data.subarray(at, at + PIECE_BYTES).toBase64() });
      }
    }
  }
}

/** Reads what {@link sendInput} sends. @throws FleetError invalid */
export async function* receiveInput(stream: RpcStream): AsyncIterable<TaskInput> {
  for await (const message of stream) {
    const { data, columns, rows } = message as Partial<
      Record<"data" | "columns" | "rows", unknown>
    >;
    if (typeof data === "string") yield { data: Uint8Array.fromBase64(data) };
    else if (Number.isInteger(columns) && Number.isInteger(rows)) {
      yield { columns: Number(columns), rows: Number(rows) };
    } else throw new FleetError("invalid", "what was typed cannot be read");
  }
}

/** Whether the question runs a command, so that there is input to send. */
export function isCommand(path: string): boolean {
  return path.startsWith("exec?");
}

/** Reads what {@link sendAnswer} sends. @throws FleetError of the sender */
export async function receiveAnswer(stream: RpcStream): Promise<TaskAnswer> {
  const messages = stream[Symbol.asyncIterator]();
  const first = await messages.next();
  const head = first.value as { status?: unknown; contentType?: unknown } | undefined;
  if (first.done || typeof head?.status !== "number" || typeof head.contentType !== "string") {
    throw new FleetError("unavailable", "the node ended its answer before it began");
  }
  return { status: head.status, contentType: head.contentType, body: pieces(messages, stream) };
}

async function* pieces(
  messages: AsyncIterator<unknown>,
  stream: RpcStream,
): AsyncIterable<Uint8Array> {
  let over = false;
  try {
    for (;;) {
      const next = await messages.next();
      if (next.done) return void (over = true);
      const { data } = next.value as { data?: unknown };
      if (typeof data !== "string") throw new FleetError("invalid", "a piece without data");
      yield Uint8Array.fromBase64(data);
    }
  } finally {
    if (!over) stream.cancel("the reader has gone");
  }
}
