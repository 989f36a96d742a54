import type { Clock } from "../../base/clock.ts";
import { FleetError, kindOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { JoinAttempts } from "../../core/pki/join_attempts.ts";
import type { IssueReply } from "../manager/certificate_authority.ts";

/** Failures that are a stranger's own; anything else (no leader, an internal error) is ours. */
const REFUSALS = new Set(["unauthorized", "invalid", "forbidden", "conflict"]);

/**
 * Where nodes without a certificate ask to be let in: each attempt is in the log, and a source that is
 * refused again and again has to wait.
 */
export class JoinDoor {
  readonly #attempts = new JoinAttempts();
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @throws FleetError unavailable, with the time to wait, or what `ask` throws */
  async pass(
    remoteAddress: string,
    ask: () => Promise<unknown>,
    done = "a node joined",
  ): Promise<unknown> {
    const from = withoutPort(remoteAddress);
    const verdict = this.#attempts.begin(from, this.#clock.monotonic());
    if (!verdict.allowed) {
      const seconds = Math.ceil(verdict.waitMs / 1000);
      if (verdict.first) {
        this.#logger.log("warn", "too many attempts to join; they are not looked at", {
          from,
          seconds,
        });
      }
      throw new FleetError(
        "unavailable",
        `too many attempts to join from ${from}: try again in ${seconds} s`,
      );
    }
    try {
      const reply = await ask();
      this.#attempts.excuse(from);
      const { nodeId, role } = (reply ?? {}) as Partial<IssueReply>;
      this.#logger.log("info", done, { node: nodeId, role, from });
      return reply;
    } catch (error) {
      if (!REFUSALS.has(kindOf(error))) this.#attempts.excuse(from);
      // At most as many lines as a source has attempts.
      this.#logger.log("warn", "a node was not let in", { from, reason: messageOf(error) });
      throw error;
    }
  }
}

/** `10.0.0.7:51234` as `10.0.0.7`, `[::1]:51234` as `::1`. */
export function withoutPort(remoteAddress: string): string {
  return remoteAddress.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:/, "");
}
