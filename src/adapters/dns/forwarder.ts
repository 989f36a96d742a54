import dgram from "node:dgram";
import net from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { randomInt } from "../../base/random.ts";
import { MAX_NAMESERVERS } from "./host_resolvers.ts";
import { answers, isRefusal, withId } from "./wire.ts";

const DNS_PORT = 53;
/** How long one server may take before the next is asked; clients give up after five seconds. */
const SERVER_TIMEOUT_MS = 1_500;
/** Questions under way; one more is answered with SERVFAIL (Docker's resolver has the same bound). */
export const MAX_FORWARDED = 1_024;
const MAX_MESSAGE_BYTES = 65_535;
/** A server that gave no answer is asked last for this long, so that not every question waits for it. */
const SILENT_MS = 30_000;
/** Servers remembered as silent; the oldest is forgotten first. */
const MAX_SILENT = 64;

export interface ForwarderOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** 53; tests have other ports. */
  readonly port?: number;
}

/** Asks other name servers, one after the other, over the transport that the question came on. */
export class Forwarder {
  #underWay = 0;
  /** Server -> until when it is asked last. */
  readonly #silent = new Map<string, number>();
  readonly #port: number;

  constructor(readonly options: ForwarderOptions) {
    this.#port = options.port ?? DNS_PORT;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** The first useful answer, with the question's own id; undefined when no server gave one. */
  async ask(
    servers: readonly string[],
    transport: "udp" | "tcp",
    question: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    if (this.#underWay >= MAX_FORWARDED) return undefined;
    this.#underWay++;
    try {
      let refusal: Uint8Array | undefined;
      for (const server of this.#inOrder(servers.slice(0, MAX_NAMESERVERS))) {
        if (signal.aborted) return undefined;
        // A fresh id and a fresh port for each question: an answer cannot be guessed (RFC 5452).
        const request = withId(question, randomInt(this.options.random, 65_536));
        const answer = await this.#exchange(transport, server, request, signal);
        if (!answer) {
          this.#noteSilent(server);
          continue;
        }
        this.#silent.delete(server);
        const mine = withId(answer, (question[0]! << 8) | question[1]!);
        if (!isRefusal(mine)) return mine;
        refusal ??= mine;
      }
      return refusal;
    } finally {
      this.#underWay--;
    }
  }

  #inOrder(servers: readonly string[]): string[] {
    const now = this.options.clock.monotonic();
    const isSilent = (server: string) => (this.#silent.get(server) ?? -Infinity) > now;
    return [...servers.filter((s) => !isSilent(s)), ...servers.filter(isSilent)];
  }

  #noteSilent(server: string): void {
    this.#silent.delete(server);
    this.#silent.set(server, this.options.clock.monotonic() + SILENT_MS);
    for (const oldest of this.#silent.keys()) {
      if (this.#silent.size <= MAX_SILENT) break;
      this.#silent.delete(oldest);
    }
  }

  #exchange(
    transport: "udp" | "tcp",
    server: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const finish = (answer?: Uint8Array) => {
        cancel();
        signal.removeEventListener("abort", onAbort);
        close();
        resolve(answer);
      };
      const onAbort = () => finish();
      const cancel = this.options.clock.after(SERVER_TIMEOUT_MS, () => finish());
      signal.addEventListener("abort", onAbort, { once: true });
      const close = transport === "udp"
        ? askOverUdp(server, this.#port, request, finish)
        : askOverTcp(server, this.#port, request, finish);
    });
  }
}

type Finish = (answer?: Uint8Array) => void;

function askOverUdp(server: string, port: number, request: Uint8Array, finish: Finish): () => void {
  const socket = dgram.createSocket(server.includes(":") ? "udp6" : "udp4");
  let open = true;
  socket.on("error", () => finish());
  socket.on("message", (message) => {
    if (answers(request, message)) finish(message);
  });
  // Connected, so that only this server is heard.
  socket.connect(port, server, () => {
    if (!open) return;
    socket.send(request, (error) => {
      if (error) finish();
    });
  });
  return () => {
    if (open) socket.close();
    open = false;
  };
}

function askOverTcp(server: string, port: number, request: Uint8Array, finish: Finish): () => void {
  const socket = net.connect(port, server);
  const received: Uint8Array[] = [];
  let length = 0;
  socket.on("error", () => finish());
  socket.on("close", () => finish());
  socket.on("connect", () => socket.write(framed(request)));
  socket.on("data", (chunk: Uint8Array) => {
    received.push(chunk);
    length += chunk.length;
    if (length > MAX_MESSAGE_BYTES + 2) return finish();
    const message = unframed(received);
    if (message) finish(answers(request, message) ? message : undefined);
  });
  return () => socket.destroy();
}

/** With the length prefix of DNS over TCP (RFC 1035 4.2.2). */
export function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(message.length + 2);
  frame[0] = message.length >> 8;
  frame[1] = message.length & 0xff;
  frame.set(message, 2);
  return frame;
}

function unframed(chunks: readonly Uint8Array[]): Uint8Array | undefined {
  const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (total < 2) return undefined;
  const whole = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  const length = (whole[0]! << 8) | whole[1]!;
  return total >= length + 2 ? whole.subarray(2, length + 2) : undefined;
}
