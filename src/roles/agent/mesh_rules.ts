import { inCidr } from "../../base/cidr.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { MeshKind } from "../../core/network/balancer.ts";
import type { DesiredState } from "../../core/network/desired.ts";
import { ipvsServices, planIpvs } from "../../core/network/ipvs.ts";
import type { IpvsService } from "../../core/network/ipvs.ts";
import { nftBridgeScript, NO_BRIDGE_RULES } from "../../core/network/nft_bridge.ts";
import { nftMemoryScript } from "../../core/network/nft_memory.ts";
import { nftPatch } from "../../core/network/nft_patch.ts";
import { nftRuleset } from "../../core/network/nft_ruleset.ts";
import type { ObservedState } from "../../core/network/observed.ts";

/** The machine's rules and balancer; `src/adapters/network` implements it. */
export interface RulesHost {
  /** Makes IPVS hold these services; called only where `observe` told of some. */
  applyIpvs(services: readonly IpvsService[], signal: AbortSignal): Promise<void>;
  /** Puts the script in force; the listing that then belongs to it. */
  applyRuleset(script: string, signal: AbortSignal): Promise<string>;
  /** Puts a part of the rules in force, all of it or nothing. */
  patchRuleset(script: string, signal: AbortSignal): Promise<void>;
  /** Shortens the kernel's memory by the script; false where the kernel or `nft` cannot. */
  shortenMemory(script: string, signal: AbortSignal): Promise<boolean>;
  /** Ends what the kernel remembers of clients whom these addresses have not answered. */
  forget(addresses: readonly string[], signal: AbortSignal): Promise<void>;
  /** Addresses that the kernel remembers for such clients. */
  unanswered(signal: AbortSignal): Promise<readonly string[]>;
}

/** In place of a listing of the rules, which takes long where there are many. */
export const NOT_LISTED = "not listed";

/** Audits after which a client has given up, or has found another task. */
const LOOKS_AFTER = 12;

/** Brings virtual addresses, published ports and isolation into the kernel, by IPVS or by nftables alone. */
export class MeshRules {
  readonly #host: RulesHost;
  readonly #logger: Logger;
  #kind: MeshKind | undefined;
  #script: string | undefined;
  /** What the bridges' rules are; unknown to an agent that has just begun. */
  #bridgeScript: string | undefined;
  #memoryScript: string | undefined;
  #canShorten = true;
  /** Addresses of tasks that are asked, or are not any more but still there; unknown to an agent that has just begun. */
  #balanced: ReadonlySet<string> | undefined;
  /** Those that are out since, and at how many audits they are still looked after. */
  readonly #out = new Map<string, number>();

  constructor({ host, logger }: { readonly host: RulesHost; readonly logger: Logger }) {
    this.#host = host;
    this.#logger = logger;
  }

  /** Who balances; undefined before the first look. */
  get kind(): MeshKind | undefined {
    return this.#kind;
  }

  observe({ ipvs }: ObservedState): void {
    this.#kind = ipvs ? "ipvs" : "nftables";
  }

  /**
   * What balances, and the listing of the rules as far as it is known; with `fresh` nothing is taken for
   * granted, with `renew` the rules are written whole.
   */
  async apply(
    desired: DesiredState,
    observed: ObservedState,
    how: { readonly fresh: boolean; readonly renew: boolean },
    signal: AbortSignal,
  ): Promise<Pick<ObservedState, "ruleset" | "ipvs">> {
    this.observe(observed);
    // Before the rules: what is marked must find its service.
    const ipvs = observed.ipvs && ipvsServices(desired);
    if (ipvs && planIpvs(ipvs, observed.ipvs ?? []).length > 0) {
      await this.#host.applyIpvs(ipvs, signal);
    }
    const ruleset = await this.#applyRules(desired, observed, how, signal);
    await this.#shortenMemory(nftMemoryScript(desired), how.fresh || how.renew, signal);
    return { ruleset, ...(ipvs ? { ipvs } : {}) };
  }

  /** What may follow once the new state balances: connections that are over, answers of other nodes' clients. */
  async after(desired: DesiredState, audit: boolean, signal: AbortSignal): Promise<void> {
    const script = nftBridgeScript(desired);
    if (script !== undefined) {
      if (script === this.#bridgeScript && !audit) return;
      await this.#host.patchRuleset(script, signal);
    } else {
      if (this.#bridgeScript === NO_BRIDGE_RULES) return;
      try {
        await this.#host.patchRuleset(NO_BRIDGE_RULES, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#logger.log("debug", "the kernel has no rules on bridges that could be removed", {
          error: messageOf(error),
        });
      }
    }
    this.#bridgeScript = script ?? NO_BRIDGE_RULES;
  }

  /** Nothing depends on it but connections at the moment when a container goes. */
  async #shortenMemory(script: string, again: boolean, signal: AbortSignal): Promise<void> {
    if (!this.#canShorten || (script === this.#memoryScript && !again)) return;
    this.#memoryScript = script;
    this.#canShorten = await this.#host.shortenMemory(script, signal);
    if (this.#canShorten) return;
    this.#logger.log("info", "the kernel remembers connections that are over for its own time", {
      reason: "it has no time-outs for single connections (CONFIG_NF_CONNTRACK_TIMEOUT)",
    });
  }

  async #applyRules(
    desired: DesiredState,
    observed: ObservedState,
    { fresh, renew }: { readonly fresh: boolean; readonly renew: boolean },
    signal: AbortSignal,
  ): Promise<string> {
    const script = nftRuleset(desired, this.#kind);
    const before = fresh ? undefined : this.#script;
    if (script === before && !renew) return observed.ruleset;
    if (before !== undefined && !renew) {
      try {
        await this.#host.patchRuleset(nftPatch(before, script), signal);
        this.#script = script;
        return NOT_LISTED;
      } catch (error) {
        signal.throwIfAborted();
        this.#logger.log("debug", "rules are written anew: a part could not be changed", {
          error: messageOf(error),
        });
      }
    }
    const listing = await this.#host.applyRuleset(script, signal);
    this.#script = script;
    return listing;
  }

  /**
   * Lets clients go that wait for a task which is gone: their next packet finds another one. A first packet
   * that was lost is sent again after seconds, and the kernel would send it where the first one went. Tasks
   * that drain are left alone: what they have begun to answer would not find back, and clients were seen to
   * hang on it.
   */
  async letGo(
    { networks, balancers, published }: DesiredState,
    audit: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const now = new Set(
      [...balancers, ...published].flatMap(({ reals }) => reals.map(({ address }) => address)),
    );
    const known = this.#balanced;
    this.#balanced = now;
    if (audit) await this.#letGoAgain(now, signal);
    try {
      // While no agent was here tasks may have gone; a client that asks them again does so for minutes.
      const before = known ??
        (networks.length === 0 ? [] : await this.#host.unanswered(signal)).filter((address) =>
          networks.some(({ subnet }) => inCidr(address, subnet))
        );
      const out = [...before].filter((address) => !now.has(address));
      if (out.length === 0) return;
      for (const address of out) this.#out.set(address, LOOKS_AFTER);
      await this.#host.forget(out, signal);
    } catch (error) {
      this.#noteForgetting(error, signal);
    }
  }

  /** Once more, at audits: what was on its way when they were let go may have come in again. */
  async #letGoAgain(now: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (const [address, left] of this.#out) {
      if (left === 0 || now.has(address)) this.#out.delete(address);
      else this.#out.set(address, left - 1);
    }
    if (this.#out.size === 0) return;
    try {
      await this.#host.forget([...this.#out.keys()], signal);
    } catch (error) {
      this.#noteForgetting(error, signal);
    }
  }

  #noteForgetting(error: unknown, signal: AbortSignal): void {
    signal.throwIfAborted();
    this.#logger.log("debug", "what waits for tasks that are gone expires by itself", {
      error: messageOf(error),
    });
  }
}
