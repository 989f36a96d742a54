import { runInTerminal } from "./container_terminal.ts";
import type { TerminalInput } from "./container_terminal.ts";
import type { Engine } from "./engine.ts";

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** What the engine answers to a GET, as it comes, terminals in its containers, and connections to it. */
export function containerReader(engine: Engine): {
  read(target: string, signal: AbortSignal): Promise<Answer>;
  dial(): Promise<Deno.UnixConn>;
  run(
    container: string,
    command: string,
    input: AsyncIterable<TerminalInput>,
    signal: AbortSignal,
  ): Promise<Answer>;
} {
  return {
    dial: () => engine.dial(),
    run: (container, command, input, signal) =>
      runInTerminal(engine, container, command, input, signal),
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
