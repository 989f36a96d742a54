import { FleetError } from "../src/base/errors.ts";
import type { ErrorKind } from "../src/base/errors.ts";
import { close } from "../src/base/duplex.ts";
import type { Conversation } from "./conversation.ts";

/** Where the agent listens unless `--host` or `FLEET_HOST` says otherwise. */
export const DEFAULT_SOCKET = "/run/fleet/fleet.sock";
export const DEFAULT_HOST = `unix://${DEFAULT_SOCKET}`;

/** What Docker's API puts before a manager's refusal; to a person it says nothing. */
const MANAGERS_WORDS = /^rpc error: code = \w+ desc = /;

/** The API names commands in the words of Docker's clients; here they are told by fleet's. */
const DOCKERS_COMMANDS = /"docker swarm (init|join|leave|unlock)"/g;

/** A refusal by the agent: its sentence and HTTP status. */
export class ApiError extends FleetError {
  readonly status: number;
  constructor(status: number, message: string) {
    super(kindOfStatus(status), message.replace(DOCKERS_COMMANDS, '"fleet $1"'));
    this.status = status;
  }
}

/** No agent at the other end, as opposed to one that refuses. */
export class ConnectError extends FleetError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("unavailable", message, options);
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** A body that is no JSON. */
  readonly bytes?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The agent's API as the verbs use it. Every method throws ApiError or ConnectError. */
export interface ApiClient {
  /** Where it connects, in the words of `--host`. */
  readonly host: string;
  get<T>(path: string, options?: RequestOptions): Promise<T>;
  post<T>(path: string, options?: RequestOptions): Promise<T>;
  remove(path: string, options?: RequestOptions): Promise<void>;
  /** The whole response, for streams. */
  request(method: string, path: string, options?: RequestOptions): Promise<Response>;
  /**
   * A request that becomes a connection in both directions, as attach and exec have it in Docker's API. Who
   * gets the connection closes it.
   */
  converse(path: string, body: unknown): Promise<Conversation>;
  /** Whether an agent answers at all; throws only what is not "nobody there". */
  ping(): Promise<boolean>;
  close(): void;
}

/** What a client shows and trusts on TCP, PEM texts. */
export interface ClientTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** By this header an answer says that no majority of the managers confirmed it. */
const STALE_HEADER = "Fleet-Stale";

/**
 * Connects (lazily) to `unix:///path` or `tcp://host:port`. `tls` is asked for TCP only; `onStale` hears of every
 * answer that may be out of date. @throws FleetError invalid
 */
export function connect(
  host: string,
  tls?: () => ClientTls,
  onStale: () => void = () => {},
): ApiClient {
  const target = parseHost(host);
  // Deno calls fetch's `client` option and the unix transport unstable only in its types.
  const http = target.socket === undefined
    ? tlsClient(tls)
    : Deno.createHttpClient({ proxy: { transport: "unix", path: target.socket } });

  async function request(method: string, path: string, options: RequestOptions = {}) {
    const headers = new Headers(options.headers);
    if (options.body !== undefined) headers.set("Content-Type", "application/json");
    let response: Response;
    try {
      response = await fetch(`${target.base}${path}${queryText(options.query)}`, {
        method,
        headers,
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
        ...(options.bytes === undefined ? {} : { body: options.bytes.slice() }),
        ...(options.signal ? { signal: options.signal } : {}),
        ...(http ? { client: http } : {}),
      });
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw connectError(host, error);
    }
    if (response.headers.get(STALE_HEADER) === "true") onStale();
    if (response.ok) return response;
    throw new ApiError(response.status, await errorText(response));
  }

  async function json<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
    const response = await request(method, path, options);
    const text = await response.text();
    try {
      return (text === "" ? undefined : JSON.parse(text)) as T;
    } catch (cause) {
      throw new FleetError("internal", `${method} ${path}: the answer is not JSON`, { cause });
    }
  }

  return {
    host,
    request,
    get: (path, options) => json("GET", path, options),
    post: (path, options) => json("POST", path, options),
    async remove(path, options) {
      const response = await request("DELETE", path, options);
      await response.body?.cancel();
    },
    async converse(path, body) {
      const { converse, dial } = await import("./conversation.ts");
      const connection = await dial({ ...target, ...(tls ? { tls: tls() } : {}) }).catch(
        (error) => {
          throw connectError(host, error);
        },
      );
      let kept = false;
      try {
        const answer = await converse(connection, path, body);
        if (answer.kind === "refused") {
          throw new ApiError(answer.status, refusalText(answer.status, answer.text));
        }
        kept = true;
        return answer;
      } finally {
        if (!kept) close(connection);
      }
    },
    async ping() {
      try {
        const response = await request("GET", "/_ping");
        await response.body?.cancel();
        return true;
      } catch (error) {
        if (error instanceof ApiError) return true;
        if (error instanceof ConnectError && !isPermission(error.cause)) return false;
        throw error;
      }
    },
    close: () => http?.close(),
  };
}

function tlsClient(tls: (() => ClientTls) | undefined): Deno.HttpClient {
  if (!tls) throw new FleetError("invalid", "TCP hosts need FLEET_CERT_PATH");
  const { ca, cert, key } = tls();
  return Deno.createHttpClient({ caCerts: [ca], cert, key });
}

/** What a `--host` value means. @throws FleetError invalid */
export function parseHost(host: string): { base: string; socket?: string } {
  const unix = /^unix:\/\/(\/.+)$/.exec(host)?.[1] ?? (host.startsWith("/") ? host : undefined);
  // Deno's fetch looks the name up even for a unix socket, and a slow DNS server would hold every
  // command up by its time-out: an address needs no look-up.
  if (unix !== undefined) return { base: "http://127.0.0.1", socket: unix };
  const tcp = /^(?:tcp|https):\/\/([^/]+)\/?$/.exec(host)?.[1];
  if (tcp !== undefined) return { base: `https://${tcp}` };
  if (sshDestination(host) !== undefined) return { base: "http://127.0.0.1" };
  throw new FleetError(
    "invalid",
    `invalid host "${host}": write it as unix:///path/to/fleet.sock, tcp://address:port or ssh://user@machine`,
  );
}

/** `user@machine[:port]` of `ssh://user@machine[:port]`. */
export function sshDestination(host: string): string | undefined {
  return /^ssh:\/\/((?:[\w.-]+@)?[\w.-]+(?::\d+)?)\/?$/.exec(host)?.[1];
}

function queryText(query: Query | undefined): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== undefined) params.set(key, String(value));
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

async function errorText(response: Response): Promise<string> {
  return refusalText(response.status, await response.text());
}

function refusalText(status: number, text: string): string {
  try {
    const message = (JSON.parse(text) as { message?: unknown }).message;
    if (typeof message === "string" && message !== "") return message.replace(MANAGERS_WORDS, "");
  } catch {
    // Not every server on a socket speaks Docker's JSON errors; its text is better than nothing.
  }
  return text.trim() || `HTTP status ${status}`;
}

function isPermission(error: unknown): boolean {
  return /permission denied|os error 13/i.test(causeText(error));
}

function causeText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${causeText(error.cause)}`;
}

function connectError(host: string, error: unknown): ConnectError {
  const cause = causeText(error);
  if (isPermission(error)) {
    return new ConnectError(
      `permission denied on ${host}: run as root, or join the group that owns the socket`,
      { cause: error },
    );
  }
  if (/os error (2|111)\b|no such file|refused/i.test(cause)) {
    return new ConnectError(
      `cannot reach a fleet agent at ${host}: is it running? ` +
        `Start it with "fleet agent"; "fleet init" starts one by itself. ` +
        `Another agent is chosen by --host or FLEET_HOST.`,
      { cause: error },
    );
  }
  return new ConnectError(`the connection to the agent at ${host} failed: ${cause}`, {
    cause: error,
  });
}

function kindOfStatus(status: number): ErrorKind {
  if (status === 400) return "invalid";
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not-found";
  if (status === 409) return "conflict";
  if (status === 501) return "unimplemented";
  if (status === 503) return "unavailable";
  return "internal";
}
