import { FleetError } from "../src/base/errors.ts";
import { ApiError } from "./client.ts";

/** Exit codes of every verb; `fleet --help` lists them. */
export const EXIT = {
  ok: 0,
  /** The agent refused, could not be reached, or something else failed. */
  failed: 1,
  /** The command line is wrong; nothing was sent. */
  usage: 2,
  /** The cluster accepted the change but did not reach the wanted state. */
  notConverged: 3,
} as const;

export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  the agent refused, could not be reached, or something else failed
  2  wrong usage; nothing was sent
  3  accepted, but the service did not converge (its update paused or was rolled back)`;

/** The change was accepted but the service did not get there: exit code 3. */
export class NotConvergedError extends Error {
  override readonly name = "NotConvergedError";
}

/** The exit code of a caught failure. An `invalid` that did not come from the agent is wrong usage. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof NotConvergedError) return EXIT.notConverged;
  if (error instanceof ApiError) return EXIT.failed;
  if (error instanceof FleetError && error.kind === "invalid") return EXIT.usage;
  return EXIT.failed;
}
