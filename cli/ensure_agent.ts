import { FleetError } from "../src/base/errors.ts";
import { agentOptions } from "./agent_flags.ts";
import { parseHost } from "./client.ts";
import type { VerbContext } from "./verb.ts";

/** A started agent that does not answer by then has failed. */
const START_TIMEOUT_MS = 15_000;
const POLL_MS = 50;

/**
 * Starts an agent in the background when none answers on the local socket, and says so. An agent that
 * `--host` puts elsewhere than on a unix socket is not ours to start. @throws FleetError
 */
export async function ensureAgent(context: VerbContext): Promise<void> {
  const { env, client } = context;
  const { socket } = parseHost(client.host);
  if (await client.ping()) return;
  if (socket === undefined) {
    throw new FleetError("unavailable", `no fleet agent answers at ${client.host}`);
  }
  const options = { ...agentOptions({}, (name) => env.variable(name)), socket };
  const agent = await env.startAgentInBackground(options);
  context.warn(
    `No agent was running: started one in the background (pid ${agent.pid}, log ${agent.logFile}).`,
  );
  const deadline = env.now() + START_TIMEOUT_MS;
  while (!await client.ping()) {
    if (env.now() >= deadline) {
      throw new FleetError(
        "timeout",
        `the agent did not answer within ${START_TIMEOUT_MS / 1000} s; its log is ${agent.logFile}`,
      );
    }
    await env.sleep(POLL_MS);
  }
}
