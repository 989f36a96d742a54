import { Manager } from "../manager/manager.ts";
import type { MemoryStorage } from "../manager/member_memory.ts";
import type { RaftLog } from "../manager/raft_runner.ts";
import type { FleetNodeOptions } from "./node_options.ts";
import type { Running } from "./running.ts";

/** The manager of a node, on an open log; it is not started yet. */
export function createManager(
  options: FleetNodeOptions,
  running: Running,
  log: RaftLog & MemoryStorage,
  onFailure: (error: unknown) => void,
): Manager {
  const { trust, clock, random, logger, defer, tickMs, createLeaderWork } = options;
  const { nodeId, advertiseAddr } = running.identity;
  const manager = new Manager({
    nodeId,
    addr: advertiseAddr,
    log,
    openTransport: (inbox, run) =>
      options.openTransport({ nodeId, run, dialer: running.dialer, inbox }),
    dialer: running.dialer,
    trust,
    external: options.externalCa(() => running.credentials.current()),
    clock,
    random,
    logger,
    meter: options.meter,
    tracer: options.tracer,
    defer,
    tickMs,
    knownManagers: running.identity.managers,
    joinedIndex: running.identity.joinedIndex ?? 0,
    createLeaderWork,
    onBlocked: (nodeIds) => {
      for (const id of nodeIds) {
        if (!running.blocked.has(id)) running.listener?.closeConnectionsOf(id);
      }
      running.blocked = new Set(nodeIds);
    },
    onFailure,
    onRemoved: () => logger.log("info", "this node is no manager any more", { node: nodeId }),
  });
  options.onManager?.(manager);
  return manager;
}
