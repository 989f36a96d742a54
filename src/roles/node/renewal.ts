import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { renewalRetryDelay, renewalTime } from "../../core/pki/renewal_schedule.ts";
import type { Role } from "../../model/node.ts";
import type { IssueReply } from "../manager/certificate_authority.ts";
import type { RpcDialer } from "../rpc.ts";
import type { HeldCredentials } from "./identity.ts";
import type { Credentials, Trust } from "./ports.ts";

/** Timers longer than this are cut into pieces. */
const MAX_TIMER_MS = 24 * 3_600_000;

/** Nodes that are asked to renew together come within this, so that the leader signs for one after the other. */
const SOON_MS = 1_000;

export interface RenewalOptions {
  readonly credentials: HeldCredentials;
  readonly trust: Trust;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly dialer: RpcDialer;
  readonly managers: () => readonly string[];
  /** The new credentials are in force; their role may be another one. */
  readonly onRenewed: (credentials: Credentials, role: Role) => Promise<void>;
}

/** Keeps this node's certificate fresh without touching live connections. */
export class Renewal {
  readonly #options: RenewalOptions;
  #cancel: () => void = () => {};
  #running = false;
  #again = false;
  #stopped = true;
  #failures = 0;

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.#plan();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Renews within a moment that differs from node to node: the root is being rotated. */
  renewSoon(): void {
    if (this.#running) this.#again = true;
    else if (!this.#stopped) this.#wait(this.#options.random.float() * SOON_MS);
  }

  /** Renews at once: the role changed. */
  renewNow(): void {
    if (this.#running) this.#again = true;
    else void this.#renew();
  }

  #plan(): void {
    if (this.#stopped) return;
    const { clock, random, trust, credentials } = this.#options;
    const at = renewalTime(trust.inspect(credentials.current().certPem), random.float());
    this.#wait(Math.max(at - clock.now(), 0));
  }

  #wait(ms: number): void {
    this.#cancel();
    this.#cancel = this.#options.clock.after(Math.min(ms, MAX_TIMER_MS), () => {
      if (ms > MAX_TIMER_MS) this.#wait(ms - MAX_TIMER_MS);
      else void this.#renew();
    });
  }

  async #renew(): Promise<void> {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#again = false;
    try {
      const { credentials, reply } = await this.#request();
      if (this.#stopped) return;
      this.#options.credentials.replace(credentials);
      await this.#options.onRenewed(credentials, reply.role);
      this.#failures = 0;
      this.#options.logger.log("info", "certificate renewed", {
        node: reply.nodeId,
        role: reply.role,
      });
      this.#plan();
    } catch (error) {
      const delay = renewalRetryDelay(++this.#failures);
      this.#options.logger.log("warn", "certificate not renewed; trying again", {
        error: messageOf(error),
        delayMs: delay,
      });
      if (!this.#stopped) this.#wait(delay);
    } finally {
      this.#running = false;
      if (this.#again) this.renewNow();
    }
  }

  async #request(): Promise<{ credentials: Credentials; reply: IssueReply }> {
    const { trust, dialer, managers, clock } = this.#options;
    const { keyPem, csrPem } = trust.createKeyAndCsr();
    let failure: unknown;
    for (const address of managers()) {
      try {
        const caller = await dialer.connect(address);
        try {
          const reply = await caller.call("ca.issue", { csr: csrPem }) as IssueReply;
          trust.verify(reply.certPem, reply.caPem, clock.now());
          return { reply, credentials: { caPem: reply.caPem, certPem: reply.certPem, keyPem } };
        } finally {
          caller.close();
        }
      } catch (error) {
        failure = error;
      }
    }
    throw failure ?? new Error("no manager is known");
  }
}
