import { FleetError } from "../src/base/errors.ts";
import type { CliEnvironment } from "./environment.ts";

/**
 * Asks on a terminal whether to go on; `--yes` answers it. Without a terminal nobody can be asked, and
 * the verb refuses. @throws FleetError invalid (nobody to ask), canceled (the answer is no)
 */
export async function confirm(
  env: CliEnvironment,
  question: string,
  yes: boolean | undefined,
): Promise<void> {
  if (yes) return;
  if (!env.stdin.isTTY) {
    throw new FleetError(
      "invalid",
      `${question.trim()} Nobody can be asked here: give --yes to go on`,
    );
  }
  const answer = await env.stdin.readLine({ prompt: `${question} [y/N] ` });
  if (!/^y(es)?$/i.test((answer ?? "").trim())) {
    throw new FleetError("canceled", "nothing was changed");
  }
}

/**
 * For verbs that Docker's client does without a question: asks where somebody sits in front of it, and goes
 * on elsewhere, so that scripts written for it work. @throws FleetError canceled
 */
export async function confirmOnTerminal(
  env: CliEnvironment,
  question: string,
  yes: boolean | undefined,
): Promise<void> {
  if (!env.stdin.isTTY || !env.stdout.isTTY) return;
  await confirm(env, question, yes);
}
