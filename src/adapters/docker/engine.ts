import { FleetError, messageOf } from "../../base/errors.ts";

/** The API version spoken: that of Engine 20.10, which newer engines accept too. */
const API = "/v1.41";
const DEFAULT_SOCKET = "/var/run/docker.sock";

/** An answer of the engine that is no success, with its own sentence. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(readonly status: number, message: string) {
    super(message);
  }
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
export class Engine {
  readonly socket: string;
  readonly #client: Deno.HttpClient;

  constructor(socket: string) {
    this.socket = socket;
    this.#client = Deno.createHttpClient({
      proxy: { transport: "unix", path: socket },
      poolIdleTimeout: 30_000,
      poolMaxIdlePerHost: 16,
    });
  }

  close(): void {
    this.#client.close();
  }

  /**
   * One request; the caller reads or cancels the body.
   * @throws EngineError for a status of 400 and above, FleetError unavailable when nobody answers
   */
  async request(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<Response> {
    const { body, headers = {}, signal } = options;
    const response = await this.#send(`http://engine${API}${path}`, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    if (response.status < 400) return response;
    const text = await response.text();
    let message = text.trim();
    try {
      message = (JSON.parse(text) as { message?: string }).message ?? message;
    } catch {
      // Not JSON: the text is all there is.
    }
    throw new EngineError(response.status, message || `status ${response.status}`);
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
      readonly signal?: AbortSignal;
    },
  ): Promise<Response> {
    const { signal, ...rest } = init;
    return await this.#send(target, rest, signal);
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
        `no Docker Engine answers on ${this.socket}: start it, or name its socket with --docker-host (${text})`,
      );
    }
  }

  /** A request as it is, whatever the answer; for routes whose answer fleet completes. */
  async raw(
    target: string,
    init: { method: string; headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response> {
    return await this.#send(`http://engine${target}`, init);
  }

  async json<T>(
    method: string,
    path: string,
    options: Parameters<Engine["request"]>[2] = {},
  ): Promise<T> {
    return await (await this.request(method, path, options)).json() as T;
  }

  /** A request whose answer has no content that matters. */
  async call(
    method: string,
    path: string,
    options: Parameters<Engine["request"]>[2] = {},
  ): Promise<void> {
    await (await this.request(method, path, options)).body?.cancel();
  }
}

function causes(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 5; at = at.cause) {
    parts.push(messageOf(at));
  }
  return parts.join(": ");
}

/** The values of a stream of JSON documents, one per line. */
export async function* jsonLines(response: Response): AsyncGenerator<unknown> {
  if (!response.body) return;
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
  }
  if (rest.trim() !== "") yield JSON.parse(rest);
}
