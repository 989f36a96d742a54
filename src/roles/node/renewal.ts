import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import {
  expirySentence,
  expiryWarning,
  renewalRetryDelay,
  renewalTime,
} from "../../core/pki/renewal_schedule.ts";
import type { Role } from "../../model/node.ts";
import type { IssueReply } from "../manager/certificate_authority.ts";
import { renewalText } from "../manager/expired_renewal.ts";
import type { RpcDialer } from "../rpc.ts";
import type { HeldCredentials } from "./identity.ts";
import type { Credentials, NodeNetwork, Trust } from "./ports.ts";

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
  /** Without a certificate, for when this node's has ended. */
  readonly dialAnonymously: NodeNetwork["dialAnonymously"];
  readonly managers: () => readonly string[];
  /** Signs here and now, on a manager that has the root's key in its own copy of the store. */
  readonly signHere: (csrPem: string) => IssueReply | undefined;
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
  /** The threshold that was told last, in days. */
  #warned: number | undefined;

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
    let noted = true;
    try {
      const { credentials, reply, ...signed } = await this.#request();
      if (this.#stopped) return;
      this.#options.credentials.replace(credentials);
      await this.#options.onRenewed(credentials, reply.role);
      this.#failures = 0;
      this.#options.logger.log("info", "certificate renewed", {
        node: reply.nodeId,
        role: reply.role,
      });
      this.#warned = undefined;
      this.#plan();
      noted = signed.noted;
    } catch (error) {
      const delay = renewalRetryDelay(++this.#failures);
      this.#options.logger.log("warn", "certificate not renewed; trying again", {
        error: messageOf(error),
        delayMs: delay,
      });
      this.#warn();
      if (!this.#stopped) this.#wait(delay);
    } finally {
      this.#running = false;
      if (this.#again) this.renewNow();
      else if (!noted) this.renewSoon();
    }
  }

  /** `noted` is false when the cluster does not know of the new certificate yet. */
  async #request(): Promise<{ credentials: Credentials; reply: IssueReply; noted: boolean }> {
    const { trust, managers, clock, credentials: held, signHere } = this.#options;
    const { keyPem, csrPem } = trust.createKeyAndCsr();
    const accept = (reply: IssueReply, noted: boolean) => {
      trust.verify(reply.certPem, reply.caPem, clock.now());
      const { certPem, caPem } = reply;
      return { reply, noted, credentials: { caPem, certPem, keyPem } };
    };
    const expired = clock.now() >= trust.inspect(held.current().certPem).notAfterMs;
    const own = expired ? signHere(csrPem) : undefined;
    if (own) return accept(own, false);
    let failure: unknown;
    for (const address of managers()) {
      try {
        return accept(await this.#ask(address, csrPem, expired), true);
      } catch (error) {
        failure = error;
      }
    }
    throw failure ?? new Error("no manager is known");
  }

  async #ask(address: string, csrPem: string, expired: boolean): Promise<IssueReply> {
    const { trust, dialer, dialAnonymously, credentials } = this.#options;
    const { certPem, caPem, keyPem } = credentials.current();
    const caller = expired ? await dialAnonymously(address, caPem) : await dialer.connect(address);
    try {
      if (!expired) return await caller.call("ca.issue", { csr: csrPem }) as IssueReply;
      // TLS takes no certificate that has ended; the key still proves who this is.
      const { nodeId, clusterId } = trust.inspect(certPem);
      const signature = trust.signText(keyPem, renewalText(nodeId, clusterId, csrPem));
      return await caller.call("ca.renew", { csr: csrPem, certPem, signature }) as IssueReply;
    } finally {
      caller.close();
    }
  }

  /** Says once for each threshold how long the certificate still lasts. */
  #warn(): void {
    const { trust, credentials, clock, logger } = this.#options;
    const facts = trust.inspect(credentials.current().certPem);
    const threshold = expiryWarning(facts, clock.now());
    const sentence = expirySentence(facts.nodeId, facts, clock.now());
    if (threshold === undefined || threshold === this.#warned || !sentence) return;
    this.#warned = threshold;
    logger.log("warn", sentence);
  }
}
