import { header } from "./request_head.ts";
import type { RequestHead } from "./request_head.ts";

const decoder = new TextDecoder();

/**
 * A request as the routes use it: Hono asks for url, method, headers and the body as text, and the routes for
 * the signal. A `Request` of the platform costs several times as much as all of fleet's own work for a small
 * change, for streams and conversions that nobody needs when head and body are here already.
 */
export class FrontRequest {
  readonly url: string;
  readonly #head: RequestHead;
  readonly #body: Uint8Array;
  #headers: Headers | undefined;
  #controller: AbortController | undefined;

  constructor(head: RequestHead, body: Uint8Array) {
    this.#head = head;
    this.#body = body;
    this.url = `http://fleet${head.target}`;
  }

  get method(): string {
    return this.#head.method;
  }

  /** One header is looked up in the head; the whole set is made when somebody wants all of them. */
  get headers(): Pick<Headers, "get" | "has" | "forEach"> {
    return {
      get: (name) => header(this.#head, name.toLowerCase()) ?? null,
      has: (name) => header(this.#head, name.toLowerCase()) !== undefined,
      forEach: (callback) => {
        this.#headers ??= new Headers(this.#head.headers as [string, string][]);
        this.#headers.forEach(callback);
      },
    };
  }

  /** Aborts when the client is gone: noticed only while an answer is written as it comes. */
  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  abort(reason: unknown): void {
    (this.#controller ??= new AbortController()).abort(reason);
  }

  get body(): null {
    return null;
  }

  text(): Promise<string> {
    return Promise.resolve(decoder.decode(this.#body));
  }

  json(): Promise<unknown> {
    return this.text().then((text) => JSON.parse(text) as unknown);
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return Promise.resolve(this.#body.slice().buffer as ArrayBuffer);
  }

  /** Typed as what Hono takes; it uses nothing but the above. */
  asRequest(): Request {
    return this as unknown as Request;
  }
}
