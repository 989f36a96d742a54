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

/** Stops all of it; the containers go on. */
export async function halt(running: Running): Promise<void> {
  running.renewal.stop();
  await running.agent?.stop();
  await running.manager?.stop();
  await running.listener?.close();
  running.log?.close();
}
