import assert from "node:assert/strict";
import { until as untilTrue } from "../../src/adapters/lab_hosts/process.ts";
import { messageOf } from "../../src/base/errors.ts";

/** A change of leader, a container's start: on a machine that is busy with much else they take their time. */
const PATIENCE_MS = 60_000;

/**
 * Waits until `ready` answers true. What fails meanwhile, as a command does while there is no leader, is not so
 * yet; the last failure is told when the time is over. An assertion that fails ends it at once.
 * @throws FleetError timeout, naming `what`; the assertion's
 */
export async function until(
  what: string,
  ready: () => Promise<boolean> | boolean,
  timeoutMs = PATIENCE_MS,
  pollMs = 25,
): Promise<void> {
  let failure: unknown;
  const look = async () => {
    failure = undefined;
    try {
      return await ready();
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      failure = error;
      return false;
    }
  };
  try {
    await untilTrue(what, look, timeoutMs, pollMs);
  } catch (error) {
    if (failure === undefined) throw error;
    throw new Error(`${messageOf(error)}: ${messageOf(failure)}`, { cause: failure });
  }
}
