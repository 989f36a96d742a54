import { ApiError, ConnectError } from "../client.ts";
import { NotConvergedError } from "../exit_codes.ts";
import type { CliEnvironment } from "../environment.ts";
import type { About, Ask } from "./nodes.ts";

const POLL_MS = 500;

/**
 * Waits until a node runs `to` and has proven itself. While it restarts, and while its leader does, nobody
 * answers; that is no failure before the deadline. @throws NotConvergedError it went back, or the time is over
 */
export async function upgraded(
  env: CliEnvironment,
  ask: Ask,
  node: { readonly name: string; readonly to: string; readonly timeoutMs: number },
): Promise<void> {
  const { name, to, timeoutMs } = node;
  const deadline = env.now() + timeoutMs;
  let last = "it does not answer";
  while (env.now() < deadline) {
    await env.sleep(POLL_MS);
    let about: About;
    try {
      about = await ask.about();
    } catch (error) {
      if (!(error instanceof ApiError) && !(error instanceof ConnectError)) throw error;
      last = error.message;
      continue;
    }
    if (about.Version === to && !about.Trial) return;
    if (about.RolledBack === to) {
      throw new NotConvergedError(
        `${name}: fleet ${to} did not come up, and ${about.Version} is back; its log says why (journalctl -u fleet)`,
      );
    }
    last = `it runs ${about.Version}${about.Trial ? ", on trial" : ""}`;
  }
  throw new NotConvergedError(
    `${name}: not upgraded to ${to} after ${Math.round(timeoutMs / 1000)} s: ${last}`,
  );
}
