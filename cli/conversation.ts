import { writeAll } from "../src/base/duplex.ts";
import type { Duplex } from "../src/base/duplex.ts";
import { FleetError } from "../src/base/errors.ts";
import type { ClientTls } from "./client.ts";

/** The head of an answer is a few hundred bytes. */
const MAX_HEAD_BYTES = 64 * 1024;
/** A refusal is one sentence. */
const MAX_REFUSAL_BYTES = 64 * 1024;
const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** Where a conversation is held: a unix socket, or TLS on TCP. */
export interface ConversationHost {
  readonly socket?: string;
  /** `https://name:port` where there is no socket. */
  readonly base: string;
  readonly tls?: ClientTls;
}

/** The other side took the request over; both directions are free now. */
export interface Conversation {
  readonly kind: "open";
  readonly connection: Duplex;
  /** What came together with the head. */
  readonly first: Uint8Array;
}
/** It answered something else instead. */
export interface Refusal {
  readonly kind: "refused";
  readonly status: number;
  readonly text: string;
}

/** A connection on which nothing was sent yet. @throws what the connection fails with */
export async function dial({ socket, base, tls }: ConversationHost): Promise<Duplex> {
  if (socket !== undefined) return await Deno.connect({ transport: "unix", path: socket });
  const { hostname, port } = new URL(base);
  if (!tls) throw new FleetError("invalid", "TCP hosts need FLEET_CERT_PATH");
  return await Deno.connectTls({
    // Addresses of IPv6 have brackets in URLs only.
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port || 443),
    caCerts: [tls.ca],
    cert: tls.cert,
    key: tls.key,
  });
}

/** Asks for a connection's upgrade, as attach and exec have it in Docker's API. @throws FleetError unavailable */
export async function converse(
  connection: Duplex,
  path: string,
  body: unknown,
): Promise<Conversation | Refusal> {
  const content = encoder.encode(JSON.stringify(body));
  const head = [
    `POST ${path} HTTP/1.1`,
    "Host: docker",
    "Content-Type: application/json",
    `Content-Length: ${content.length}`,
    "Connection: Upgrade",
    "Upgrade: tcp",
  ];
  await writeAll(connection, encoder.encode(`${head.join("\r\n")}\r\n\r\n`));
  await writeAll(connection, content);
  const { text, rest } = await readHead(connection);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]);
  if (!status) throw new FleetError("unavailable", `POST ${path}: the answer is not HTTP`);
  if (status === 101 || status === 200) return { kind: "open", connection, first: rest };
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? MAX_REFUSAL_BYTES);
  const wanted = Math.min(length, MAX_REFUSAL_BYTES);
  return { kind: "refused", status, text: await readText(connection, rest, wanted) };
}

async function readHead(connection: Duplex): Promise<{ text: string; rest: Uint8Array }> {
  const buffer = new Uint8Array(MAX_HEAD_BYTES);
  let length = 0;
  while (length < buffer.length) {
    const count = await connection.read(buffer.subarray(length));
    if (count === null) break;
    length += count;
    // One character for each byte: places in the text are places in the bytes.
    const text = latin1.decode(buffer.subarray(0, length));
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) return { text: text.slice(0, end), rest: buffer.slice(end + 4, length) };
  }
  throw new FleetError("unavailable", "the connection ended before the agent answered");
}

async function readText(connection: Duplex, start: Uint8Array, wanted: number): Promise<string> {
  const bytes = new Uint8Array(Math.max(wanted, start.length));
  bytes.set(start);
  let length = start.length;
  while (length < wanted) {
    const count = await connection.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}
