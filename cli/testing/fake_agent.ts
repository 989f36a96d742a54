/** One request as the fake agent saw it. */
export interface SeenRequest {
  readonly method: string;
  /** Without the version prefix that Docker's client puts before it. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Answers a request: a Response, a value for JSON with status 200, or undefined for 404. */
export type Answer = (request: SeenRequest) => Response | unknown;

/** An HTTP server on a unix socket that stands in for the agent and remembers what it was asked. */
export class FakeAgent implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly host: string;
  readonly #folder: string;
  readonly #server: Deno.HttpServer<Deno.UnixAddr>;

  /** Listens on `socket`, or on one of its own. */
  constructor(answer: Answer, socket?: string) {
    this.#folder = Deno.makeTempDirSync({ prefix: "fleet-cli-" });
    const path = socket ?? `${this.#folder}/agent.sock`;
    this.host = `unix://${path}`;
    this.#server = Deno.serve({ path, onListen: () => {} }, async (request) => {
      const url = new URL(request.url);
      const text = await request.text();
      const seen: SeenRequest = {
        method: request.method,
        path: url.pathname.replace(/^\/v1\.\d+/, ""),
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: text === "" ? undefined : isJson(request) ? JSON.parse(text) : text,
      };
      this.requests.push(seen);
      const value = answer(seen);
      if (value instanceof Response) return value;
      if (value === undefined) return refusal(404, "page not found");
      return Response.json(value);
    });
  }

  /** The requests that change something. */
  get writes(): SeenRequest[] {
    return this.requests.filter((request) => request.method !== "GET" && request.method !== "HEAD");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

const isJson = ({ headers }: Request) =>
  headers.get("content-type")?.startsWith("application/json") ?? false;

/** An error in Docker's shape. */
export function refusal(status: number, message: string): Response {
  return Response.json({ message }, { status });
}
