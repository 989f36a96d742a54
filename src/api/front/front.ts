import type { Clock } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { errorResponse } from "../error_status.ts";
import { BodyReader, BodyTooLargeError } from "./body_reader.ts";
import { close, splice, writeAll } from "../../base/duplex.ts";
import type { Duplex } from "../../base/duplex.ts";
import { FrontRequest } from "./front_request.ts";
import { engineHead, headEnd, header, MAX_HEAD_BYTES, parseHead } from "./request_head.ts";
import type { RequestHead } from "./request_head.ts";
import { apiPath, isFleetRoute, readContainer } from "./route_choice.ts";

export interface FrontOptions {
  /** fleet's own routes. */
  readonly app: (request: Request) => Response | Promise<Response>;
  /** A new connection to the engine. @throws FleetError unavailable */
  readonly dialEngine: () => Promise<Duplex>;
  readonly logger: Logger;
  /** For clients that begin a request and do not end it; without a clock they may take for ever. */
  readonly clock?: Pick<Clock, "after">;
  /** Whether a container is a task's on another node, so that its engine has to be asked. */
  readonly isRemote?: (container: string) => Promise<boolean>;
  /** A connection on which such an engine is sent a request and answers; undefined for all other requests. */
  readonly openRemote?: (head: RequestHead) => Promise<Duplex | undefined>;
}

/** A body that fleet's routes take at most; the largest real one is a config of 1,000 KiB in base64. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Thrown away of a body that is too large before the connection is broken. */
const MAX_THROWN_BYTES = 64 * 1024 * 1024;
/** Backups come whole; one of 100,000 tasks has about 20 MB. */
const MAX_BACKUP_BYTES = 512 * 1024 * 1024;
/** From the first byte of a request to its last, where fleet answers it. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Read from a client at a time; most requests are smaller. */
const READ_BYTES = 16 * 1024;
const encoder = new TextEncoder();
/** Routes mark answers that are written as they come; it does not leave the front. */
export const STREAM_HEADER = "fleet-stream";

/**
 * Serves one connection of a client: reads a request's head, answers it itself or joins the connection
 * with one to the engine. Only the head is parsed for the engine's requests, so whatever the engine can
 * do passes (attach, exec, build).
 */
export async function serveConnection(client: Duplex, options: FrontOptions): Promise<void> {
  let rest: Uint8Array = new Uint8Array(0);
  const buffer = new Uint8Array(READ_BYTES);
  let patience: (() => void) | undefined;
  // A request that has begun comes to its end; between requests a client may take all the time it wants.
  const hurry = () => {
    patience ??= options.clock?.after(REQUEST_TIMEOUT_MS, () => close(client));
  };
  const relax = () => {
    patience?.();
    patience = undefined;
  };
  try {
    for (;;) {
      const read = await readHead(client, rest, buffer, hurry);
      if (!read) return;
      const { head, after } = read;
      const exchange = await options.openRemote?.(head);
      if (exchange) {
        relax();
        await continueIfAsked(client, head);
        return await splice(client, exchange, after);
      }
      const container = readContainer(head.method, head.target);
      const remote = container !== undefined && await options.isRemote?.(container);
      if (!remote && !isFleetRoute(head.method, head.target)) {
        relax();
        return await toEngine(client, head, after, options);
      }
      const maxBytes = maxBodyBytes(head.target);
      // A backup takes as long as its disk and its line take.
      if (maxBytes > MAX_BODY_BYTES) relax();
      else hurry();
      const body = new BodyReader(client, head, after, maxBytes);
      body.checkLength();
      await continueIfAsked(client, head);
      const request = new FrontRequest(head, await body.readAll());
      relax();
      const keepAlive = await answer(client, head, request, options);
      if (!keepAlive) return;
      rest = body.rest;
    }
  } catch (error) {
    if (error instanceof BodyTooLargeError) {
      hurry();
      await refuseBody(client, error).catch(() => {});
    } else if (error instanceof FleetError) {
      await writeResponse(client, errorResponse(error), { keepAlive: false, head: undefined })
        .catch(() => {});
    } else options.logger.log("debug", "a client's connection ended", { error: messageOf(error) });
  } finally {
    relax();
    close(client);
  }
}

/**
 * Most clients listen when they have sent everything, and hear nothing when the connection breaks before: what
 * is still coming is taken and thrown away, up to a bound.
 */
async function refuseBody(client: Duplex, error: BodyTooLargeError): Promise<void> {
  const body = encoder.encode(JSON.stringify({ message: error.message }));
  const headers = { "content-type": "application/json", "content-length": `${body.length}` };
  const response = new Response(body, { status: 413, headers });
  await writeResponse(client, response, { keepAlive: false, head: undefined });
  await client.closeWrite();
  const buffer = new Uint8Array(READ_BYTES);
  for (let thrown = 0; thrown < MAX_THROWN_BYTES;) {
    const count = await client.read(buffer);
    if (count === null) return;
    thrown += count;
  }
}

function maxBodyBytes(target: string): number {
  return apiPath(target).startsWith("/fleet/backup/") ? MAX_BACKUP_BYTES : MAX_BODY_BYTES;
}

/** Some clients hold the body back until they hear that it is wanted. */
async function continueIfAsked(client: Duplex, head: RequestHead): Promise<void> {
  if (header(head, "expect")?.toLowerCase() !== "100-continue") return;
  await writeAll(client, encoder.encode("HTTP/1.1 100 Continue\r\n\r\n"));
}

async function readHead(
  client: Duplex,
  rest: Uint8Array,
  buffer: Uint8Array,
  hurry: () => void,
): Promise<{ head: RequestHead; after: Uint8Array } | undefined> {
  let bytes = rest;
  // Grows by doubling: a head that drips is neither copied nor searched again for every drop.
  let held = bytes.length;
  let seen = 0;
  for (;;) {
    const end = headEnd(bytes.subarray(0, held), seen);
    if (end >= 0) return { head: parseHead(bytes.subarray(0, end)), after: bytes.slice(end, held) };
    if (held > MAX_HEAD_BYTES) {
      throw new FleetError("invalid", "bad HTTP request: the head is too long");
    }
    seen = held;
    if (held > 0) hurry();
    const n = await client.read(buffer);
    if (n === null) return undefined;
    if (held === 0) {
      // Nearly every head comes whole: no copy then.
      const whole = headEnd(buffer.subarray(0, n));
      if (whole >= 0) {
        const head = parseHead(buffer.subarray(0, whole));
        return { head, after: buffer.slice(whole, n) };
      }
    }
    if (held + n > bytes.length || bytes === rest) {
      const grown = new Uint8Array(Math.max(2 * held, held + n, READ_BYTES));
      grown.set(bytes.subarray(0, held));
      bytes = grown;
    }
    bytes.set(buffer.subarray(0, n), held);
    held += n;
  }
}

async function toEngine(
  client: Duplex,
  head: RequestHead,
  after: Uint8Array,
  options: FrontOptions,
): Promise<void> {
  let engine: Duplex;
  try {
    engine = await options.dialEngine();
  } catch (error) {
    await writeResponse(client, errorResponse(error), { keepAlive: false, head });
    return;
  }
  const start = engineHead(head);
  const first = new Uint8Array(start.length + after.length);
  first.set(start);
  first.set(after, start.length);
  await splice(client, engine, first);
}

async function answer(
  client: Duplex,
  head: RequestHead,
  request: FrontRequest,
  options: FrontOptions,
): Promise<boolean> {
  const connection = header(head, "connection")?.toLowerCase();
  const keepAlive = connection !== "close" &&
    (head.version === "1.1" || connection === "keep-alive");
  try {
    const response = await options.app(request.asRequest());
    if (!response.headers.has(STREAM_HEADER)) {
      await writeWhole(client, response, { keepAlive, head });
      return keepAlive;
    }
    // A stream without end must notice that its reader is gone.
    void watchForEnd(client, request);
    await writeResponse(client, response, { keepAlive: false, head }, (error) => {
      // Its head is out: a second answer would be read as part of the first. Without the end of its
      // chunks the client sees that it was cut.
      options.logger.log("debug", "a stream was cut", { error: messageOf(error) });
      request.abort(error);
    });
    return false;
  } catch (error) {
    request.abort(error);
    throw error;
  }
}

/** Nothing is expected from the client while it reads a stream: what comes is its end. */
function watchForEnd(client: Duplex, request: FrontRequest): Promise<void> {
  const gone = () => request.abort(new FleetError("canceled", "the client is gone"));
  return client.read(new Uint8Array(1)).then(gone, gone);
}

/** An answer that is complete leaves in one write: a second one would cost as much as making it. */
async function writeWhole(
  client: Duplex,
  response: Response,
  options: { keepAlive: boolean; head: RequestHead },
): Promise<void> {
  const bodiless = response.status === 204 || response.status === 304;
  const body = bodiless ? new Uint8Array(0) : new Uint8Array(await response.arrayBuffer());
  let head = statusLine(response);
  for (const [name, value] of response.headers) {
    if (name !== "content-length") head += `${wireName(name)}: ${value}\r\n`;
  }
  const connection = options.keepAlive ? "keep-alive" : "close";
  head += bodiless ? "" : `Content-Length: ${body.length}\r\n`;
  const start = encoder.encode(`${head}Connection: ${connection}\r\n\r\n`);
  const sent = options.head.method === "HEAD" ? 0 : body.length;
  const bytes = new Uint8Array(start.length + sent);
  bytes.set(start);
  if (sent > 0) bytes.set(body, start.length);
  await writeAll(client, bytes);
}

function statusLine({ status, statusText }: Response): string {
  return `HTTP/1.1 ${status} ${statusText || REASONS[status] || "Status"}\r\n`;
}

function wireName(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (part) => part.toUpperCase());
}

/** @param cut is told why a body ended before its end; without it that is thrown */
async function writeResponse(
  client: Duplex,
  response: Response,
  options: { keepAlive: boolean; head: RequestHead | undefined },
  cut: (error: unknown) => void = (error) => {
    throw error;
  },
): Promise<void> {
  const headers = new Headers(response.headers);
  headers.delete(STREAM_HEADER);
  const bodiless = options.head?.method === "HEAD" || response.status === 204 ||
    response.status === 304;
  const known = headers.has("content-length") || bodiless || response.body === null;
  if (response.body === null && !headers.has("content-length") && response.status !== 204) {
    headers.set("content-length", "0");
  }
  const chunked = !known && options.head?.version !== "1.0";
  if (chunked) headers.set("transfer-encoding", "chunked");
  headers.set("connection", options.keepAlive ? "keep-alive" : "close");
  let start = statusLine(response);
  for (const [name, value] of headers) start += `${wireName(name)}: ${value}\r\n`;
  // The head leaves at once: some clients wait for it before they go on.
  await writeAll(client, encoder.encode(start + "\r\n"));
  if (bodiless || !response.body) {
    await response.body?.cancel();
    return;
  }
  try {
    for await (const chunk of response.body) {
      if (chunk.length > 0) await writeAll(client, chunked ? asChunk(chunk) : chunk);
    }
    if (chunked) await writeAll(client, LAST_CHUNK);
  } catch (error) {
    cut(error);
  }
}

const LAST_CHUNK = encoder.encode("0\r\n\r\n");
const LINE_END = encoder.encode("\r\n");

/** With its size before it and a line's end behind it, for one write: each costs more than many copies. */
function asChunk(bytes: Uint8Array): Uint8Array {
  const size = encoder.encode(`${bytes.length.toString(16)}\r\n`);
  const chunk = new Uint8Array(size.length + bytes.length + LINE_END.length);
  chunk.set(size);
  chunk.set(bytes, size.length);
  chunk.set(LINE_END, size.length + bytes.length);
  return chunk;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  413: "Request Entity Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};
