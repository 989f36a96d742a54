import type { Engine } from "./engine.ts";

/** What the engine answers to a GET, as it comes. */
export function containerReader(engine: Engine): {
  read(target: string, signal: AbortSignal): Promise<{
    readonly status: number;
    readonly contentType: string;
    readonly body: AsyncIterable<Uint8Array>;
  }>;
} {
  return {
    async read(target, signal) {
      const response = await engine.raw(target, { method: "GET", signal });
      return {
        status: response.status,
        contentType: response.headers.get("content-type") ?? "",
        body: response.body ?? nothing(),
      };
    },
  };
}

async function* nothing(): AsyncIterable<Uint8Array> {}
