import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Manager } from "../manager/manager.ts";
import type { RpcDialer } from "../rpc.ts";
import type { HeldCredentials, Identity } from "./identity.ts";
import type { RunningAgent } from "./node_options.ts";
import type { NodeListener } from "./ports.ts";
import type { Renewal } from "./renewal.ts";

/** What a node that is a member of a cluster has running. */
export interface Running {
  identity: Identity;
  readonly credentials: HeldCredentials;
  readonly dialer: RpcDialer;
  manager: Manager | undefined;
  log: { close(): void } | undefined;
  listener: NodeListener | undefined;
  agent: RunningAgent | undefined;
  blocked: ReadonlySet<string>;
  /** It was told to stop: nothing may be started any more. */
  halted: boolean;
  /** Why the manager gave up, if it did. */
  failure: unknown;
  readonly renewal: Renewal;
  /** The roots to trust, as the last session told them. */
  toldTrustRoot: string | undefined;
}

/** Addresses to try for a session, the leader's first, then what is remembered. */
export function managerAddresses(running: Running): string[] {
  const own = running.manager?.members().toSorted((a, b) => Number(b.leader) - Number(a.leader)) ??
    [];
  const addresses = [...own, ...running.identity.managers].map(({ addr }) => addr);
  return [...new Set(addresses.filter((addr) => addr !== ""))];
}

/** Stops all of it; the containers go on. What does not stop cleanly is told and does not keep the rest. */
export async function halt(running: Running, logger: Logger): Promise<void> {
  running.halted = true;
  running.renewal.stop();
  await toldUnless(logger, () => running.agent?.stop());
  await haltManager(running, logger);
}

/** Stops what only a manager has running. */
export async function haltManager(running: Running, logger: Logger): Promise<void> {
  const { manager, listener, log } = running;
  running.manager = running.listener = running.log = undefined;
  await toldUnless(logger, () => manager?.stop());
  await toldUnless(logger, () => listener?.close());
  await toldUnless(logger, () => log?.close());
}

async function toldUnless(logger: Logger, stop: () => Promise<void> | void): Promise<void> {
  try {
    await stop();
  } catch (error) {
    logger.log("warn", "not everything stopped cleanly", { error: messageOf(error) });
  }
}
