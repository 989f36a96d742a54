import { runInTerminal } from "./container_terminal.ts";
import type { TerminalInput } from "./container_terminal.ts";
import { directAnswer } from "./direct_answer.ts";
import type { DirectAnswer } from "./direct_answer.ts";
import type { Engine } from "./engine.ts";

/** What the engine answers to a GET, as it comes, terminals in its containers, and connections to it. */
export function containerReader(engine: Engine): {
  read(target: string, signal: AbortSignal): Promise<DirectAnswer>;
  dial(): Promise<Deno.UnixConn>;
  run(
    container: string,
    command: string,
    input: AsyncIterable<TerminalInput>,
    signal: AbortSignal,
  ): Promise<DirectAnswer>;
} {
  return {
    dial: () => engine.dial(),
    run: (container, command, input, signal) =>
      runInTerminal(engine, container, command, input, signal),
    async read(target, signal) {
      return await directAnswer(await engine.dial(), target, signal);
    },
  };
}
