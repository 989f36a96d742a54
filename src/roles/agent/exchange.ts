import { close, splice, writeAll } from "../../base/duplex.ts";
import type { Duplex } from "../../base/duplex.ts";
import { FleetError } from "../../base/errors.ts";
import type { RpcStream } from "../rpc.ts";
import { StreamDuplex } from "../stream_duplex.ts";
import type { ExchangeHead, TaskQuestion } from "../task_answer.ts";
import type { ContainerReader } from "./questions.ts";

/** What may be asked in a conversation; `exec/…` is a command that runs in this very container. */
const ALLOWED: readonly (readonly [string, RegExp])[] = [
  ["POST", /^exec$/],
  ["POST", /^attach(\?[!-~]*)?$/],
  ["POST", /^resize\?[!-~]*$/],
  ["POST", /^wait(\?[!-~]*)?$/],
  ["GET", /^(archive\?[!-~]*|changes|export)$/],
  ["HEAD", /^archive\?[!-~]*$/],
  ["PUT", /^archive\?[!-~]*$/],
  ["POST", /^exec\/[0-9a-f]{64}\/(start|resize\?[!-~]*)$/],
  ["GET", /^exec\/[0-9a-f]{64}\/json$/],
];
/** Headers of a request that say how its body and its answer are to be read. */
const HEADERS = ["content-type", "content-length", "transfer-encoding", "upgrade", "accept"];
const VALUE = /^[ -~]*$/;
const MAX_STATUS_LINE = 4_096;

/**
 * Has this node's engine converse with whoever asked. The head is composed here of what is allowed, so that
 * nothing but requests about the task's own container reaches the engine.
 * @throws FleetError forbidden, unavailable
 */
export async function exchange(
  { path, exchange: head }: TaskQuestion & { readonly exchange: ExchangeHead },
  container: string,
  { reader, stream }: { readonly reader: ContainerReader; readonly stream: RpcStream },
): Promise<void> {
  const allowed = ALLOWED.some(([method, paths]) => method === head.method && paths.test(path));
  if (!allowed) {
    throw new FleetError("forbidden", `"${head.method} ${path}" is nothing that a node does`);
  }
  const exec = /^exec\/([0-9a-f]{64})\//.exec(path)?.[1];
  if (exec !== undefined) await assertRunsIn(container, exec, reader, stream.signal);
  const engine = await reader.dial();
  try {
    const target = exec === undefined ? `/containers/${container}/${path}` : `/${path}`;
    const upgrade = head.headers.some(([name]) => name === "upgrade");
    await stream.send({ started: true });
    const first = requestHead(head, target, upgrade);
    const asker = new StreamDuplex(stream);
    await splice(asker, upgrade ? new UpgradedOnly(engine) : engine, first);
  } finally {
    close(engine);
  }
}

function requestHead(
  { method, headers }: ExchangeHead,
  target: string,
  upgrade: boolean,
): Uint8Array {
  const lines = [`${method} ${target} HTTP/1.1`, "host: docker"];
  for (const [name, value] of headers) {
    if (!HEADERS.includes(name)) continue;
    if (!VALUE.test(value)) throw new FleetError("forbidden", `header ${name} is malformed`);
    lines.push(`${name}: ${value}`);
  }
  lines.push(`connection: ${upgrade ? "Upgrade" : "close"}`);
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
}

/** @throws FleetError not-found for a command of another container */
async function assertRunsIn(
  container: string,
  exec: string,
  reader: ContainerReader,
  signal: AbortSignal,
): Promise<void> {
  const answer = await reader.read(`/exec/${exec}/json`, signal);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) text += decoder.decode(chunk, { stream: true });
  const known = answer.status === 200
    ? (JSON.parse(text) as { ContainerID?: string }).ContainerID
    : undefined;
  if (known !== container) {
    throw new FleetError("not-found", `No such exec instance: ${exec}`);
  }
}

/**
 * An engine that was asked to switch protocols and does not: what comes after the request would be read as the
 * next one, so it is answered no more.
 */
class UpgradedOnly implements Duplex {
  readonly #engine: Duplex;
  #seen = "";
  #refused = false;

  constructor(engine: Duplex) {
    this.#engine = engine;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const count = await this.#engine.read(buffer);
    if (count === null || this.#seen.includes("\r\n")) return count;
    this.#seen += new TextDecoder("latin1").decode(buffer.subarray(0, count)).slice(
      0,
      MAX_STATUS_LINE,
    );
    if (this.#seen.includes("\r\n") && !/^HTTP\/1\.1 (101|200) /.test(this.#seen)) {
      this.#refused = true;
      await this.#engine.closeWrite();
    }
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.#refused) return bytes.length;
    await writeAll(this.#engine, bytes);
    return bytes.length;
  }

  async closeWrite(): Promise<void> {
    if (!this.#refused) await this.#engine.closeWrite();
  }

  close(): void {
    this.#engine.close();
  }
}
