import type { Context } from "hono";

/** One request to the engine, for answers that fleet completes. */
export type EngineFetch = (
  target: string,
  init: {
    readonly method: string;
    readonly headers?: Record<string, string>;
    readonly body?: string;
    readonly signal?: AbortSignal;
  },
) => Promise<Response>;

/** Headers of one connection, which the next one has its own of (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = ["connection", "transfer-encoding", "content-length", "keep-alive"];

/** Path and query of a request, with its version prefix. */
export function targetOf(context: Context): string {
  const { pathname, search } = new URL(context.req.url);
  return pathname + search;
}

/** Has the engine answer a request, with `body` instead of its own. */
export async function passOn(
  context: Context,
  engine: EngineFetch,
  body?: string,
): Promise<Response> {
  const { method } = context.req;
  const text = body ?? await context.req.text();
  const response = await engine(targetOf(context), {
    method,
    ...(text === "" ? {} : {
      body: text,
      headers: { "content-type": context.req.header("content-type") ?? "application/json" },
    }),
  });
  const headers = new Headers(response.headers);
  for (const name of HOP_BY_HOP) headers.delete(name);
  const empty = response.status === 204 || response.status === 304 || method === "HEAD";
  return new Response(empty ? null : await response.arrayBuffer(), {
    status: response.status,
    headers,
  });
}
