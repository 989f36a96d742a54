import { FleetError, messageOf } from "../../base/errors.ts";
import { abortable } from "./abortable.ts";

/** Engine 20.10 speaks this; nothing older has all that fleet asks for. */
const OLDEST_API = [1, 41] as const;
/** The newest version whose answers fleet was written against; a newer engine is asked to speak it. */
const NEWEST_API = [1, 51] as const;
const DEFAULT_SOCKET = "/var/run/docker.sock";
/** Idle connections kept to the engine: as many as calls are in flight during a burst of tasks. */
const MAX_IDLE_CONNECTIONS = 16;
const IDLE_TIMEOUT_MS = 30_000;
/** An engine that hangs is as good as none. */
const NEGOTIATION_TIMEOUT_MS = 10_000;
/** Causes of causes that are worth printing. */
const MAX_CAUSES = 5;

/** An answer of the engine that is no success, with its own sentence. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export interface EngineCall {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The engine's HTTP API as this folder uses it; `tests/support/fake_engine.ts` is its in-memory twin. */
export interface EngineApi {
  /** Path of the socket, for messages. */
  readonly socket: string;
  /**
   * One request; `path` has no version. The caller reads or cancels the body.
   * @throws EngineError for a status of 400 and above, FleetError unavailable when nobody answers,
   *   forbidden when the socket may not be used
   */
  request(method: string, path: string, options?: EngineCall): Promise<Response>;
}

/** Path of a `unix://` address. @throws FleetError invalid */
export function socketPath(dockerHost: string | undefined): string {
  if (!dockerHost) return DEFAULT_SOCKET;
  const match = /^unix:\/\/(\/.+)$/.exec(dockerHost);
  if (!match) {
    throw new FleetError(
      "invalid",
      `--docker-host ${dockerHost}: only a unix socket is supported, written unix:///var/run/docker.sock`,
    );
  }
  return match[1]!;
}

/** Calls of the Docker Engine over its unix socket. */
export class Engine implements EngineApi {
  readonly socket: string;
  readonly #client: Deno.HttpClient;
  /** Path prefix of the version agreed on; asked for again after the engine was away. */
  #version: Promise<string> | undefined;

  constructor(socket: string) {
    this.socket = socket;
    this.#client = Deno.createHttpClient({
      proxy: { transport: "unix", path: socket },
      poolIdleTimeout: IDLE_TIMEOUT_MS,
      poolMaxIdlePerHost: MAX_IDLE_CONNECTIONS,
    });
  }

  close(): void {
    this.#client.close();
  }

  async request(method: string, path: string, options: EngineCall = {}): Promise<Response> {
    const { body, headers = {}, signal } = options;
    const response = await this.#send(`${await abortable(this.#prefix(), signal)}${path}`, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }, signal);
    if (response.status < 400) return response;
    throw new EngineError(response.status, await sentenceOf(response, this.socket));
  }

  /**
   * A request exactly as written, version prefix included; any status is an answer.
   * @throws FleetError unavailable when nobody answers, forbidden when the socket may not be used
   */
  async raw(
    target: string,
    init: {
      readonly method: string;
      readonly headers?: Record<string, string>;
      readonly body?: string;
      readonly signal?: AbortSignal;
    },
  ): Promise<Response> {
    const { signal, ...rest } = init;
    return await this.#send(target, rest, signal);
  }

  /** A connection for a conversation. @throws FleetError unavailable */
  async dial(): Promise<Deno.UnixConn> {
    try {
      return await Deno.connect({ transport: "unix", path: this.socket });
    } catch (error) {
      throw new FleetError(
        "unavailable",
        `no Docker Engine answers on ${this.socket}: ${messageOf(error)}`,
      );
    }
  }

  #prefix(): Promise<string> {
    const asked = this.#version ??= this.#negotiate();
    // A failed question is no answer: whoever calls next asks again.
    asked.catch(() => {
      if (this.#version === asked) this.#version = undefined;
    });
    return asked;
  }

  async #negotiate(): Promise<string> {
    const response = await this.#send("/_ping", {
      method: "GET",
      signal: AbortSignal.timeout(NEGOTIATION_TIMEOUT_MS),
    });
    await response.body?.cancel();
    const answered = response.headers.get("api-version") ?? "";
    const version = answered.split(".").map(Number);
    if (response.status >= 400 || !(compareVersions(version, OLDEST_API) >= 0)) {
      throw new FleetError(
        "unavailable",
        response.status >= 400
          ? `the Docker Engine on ${this.socket} is not ready (status ${response.status})`
          : `the Docker Engine on ${this.socket} is too old (API ${answered}): fleet needs Docker 20.10 (API ${
            OLDEST_API.join(".")
          }) or newer`,
      );
    }
    return `/v${(compareVersions(version, NEWEST_API) > 0 ? NEWEST_API : version).join(".")}`;
  }

  async #send(path: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
    try {
      // An address, not a name: the platform looks names up even where it connects to a unix socket,
      // and a slow DNS server would hold every request up by its time-out.
      return await fetch(`http://127.0.0.1${path}`, {
        ...init,
        ...(signal ? { signal } : {}),
        client: this.#client,
      } as RequestInit);
    } catch (error) {
      signal?.throwIfAborted();
      this.#version = undefined;
      throw noAnswer(this.socket, error);
    }
  }
}

/** The decoded answer of a call. @throws as {@link EngineApi.request} */
export async function engineJson<T>(
  engine: EngineApi,
  method: string,
  path: string,
  options: EngineCall = {},
): Promise<T> {
  const response = await engine.request(method, path, options);
  try {
    return await response.json() as T;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw noAnswer(engine.socket, error);
  }
}

/** A call whose answer has no content that matters. @throws as {@link EngineApi.request} */
export async function engineCall(
  engine: EngineApi,
  method: string,
  path: string,
  options: EngineCall = {},
): Promise<void> {
  const response = await engine.request(method, path, options);
  try {
    // Read to its end, so that the connection can be used again.
    await response.arrayBuffer();
  } catch (error) {
    options.signal?.throwIfAborted();
    throw noAnswer(engine.socket, error);
  }
}

/** The values of a stream of JSON documents, one per line. @throws FleetError unavailable when it breaks */
export async function* jsonLines(response: Response, socket: string): AsyncGenerator<unknown> {
  if (!response.body) return;
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      let part: ReadableStreamReadResult<string>;
      try {
        part = await reader.read();
      } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") throw error;
        throw noAnswer(socket, error);
      }
      const lines = (rest + (part.value ?? "")).split("\n");
      rest = part.done ? "" : lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
      if (part.done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** A query string's `filters=`. */
export function filtersQuery(filters: Readonly<Record<string, readonly string[]>>): string {
  return `filters=${encodeURIComponent(JSON.stringify(filters))}`;
}

async function sentenceOf(response: Response, socket: string): Promise<string> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    throw noAnswer(socket, error);
  }
  try {
    text = (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    // Not JSON: the text is all there is.
  }
  return text.trim() || `status ${response.status}`;
}

function noAnswer(socket: string, error: unknown): FleetError {
  const text = causes(error);
  if (/permission denied/i.test(text)) {
    return new FleetError(
      "forbidden",
      `no permission on the engine's socket ${socket}: run as root or as a member of the group docker`,
    );
  }
  return new FleetError(
    "unavailable",
    `no Docker Engine answers on ${socket}: start it, or name its socket with --docker-host (${text})`,
  );
}

function causes(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < MAX_CAUSES; at = at.cause) {
    parts.push(messageOf(at));
  }
  return parts.join(": ");
}

/** NaN, which compares false with everything, when one of them is no version. */
function compareVersions(a: readonly number[], b: readonly number[]): number {
  return (a[0] ?? NaN) - (b[0] ?? NaN) || (a[1] ?? NaN) - (b[1] ?? NaN);
}
