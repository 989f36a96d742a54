import { FleetError } from "../../base/errors.ts";
import type { Role } from "../../model/node.ts";
import type { MemoryStorage } from "../manager/member_memory.ts";
import type { RaftLog } from "../manager/raft_runner.ts";
import { saveIdentity } from "./identity.ts";
import { callLeader } from "./leader_dial.ts";
import { listenForNodes } from "./node_listener.ts";
import type { FleetNodeOptions } from "./node_options.ts";
import { haltManager, managerAddresses } from "./running.ts";
import type { Running } from "./running.ts";

export type StartManager = (running: Running, log: RaftLog & MemoryStorage) => void;

/** Asks the leader to take this node into the consensus group, then starts the manager. */
export async function becomeManager(
  options: FleetNodeOptions,
  running: Running,
  startManager: StartManager,
): Promise<void> {
  running.listener ??= await listenForNodes(options, running);
  const addr = running.identity.advertiseAddr;
  const addresses = managerAddresses(running);
  const reply = await callLeader(running.dialer, addresses, "raft.join", { addr }) as {
    managers: { nodeId: string; addr: string }[];
    joinedIndex: number;
  };
  if (running.halted) throw new FleetError("unavailable", "this node is stopping");
  running.identity = { ...running.identity, role: "manager", ...reply };
  // The managers have just forgotten what this node was to them; a log of a try that failed goes, too.
  options.wipeLog();
  const log = options.openLog(true);
  running.log = log;
  startManager(running, log);
}

/** A renewed certificate carries the role that the cluster wants this node to have. */
export async function changeRole(
  options: FleetNodeOptions,
  running: Running,
  role: Role,
  startManager: StartManager,
): Promise<void> {
  const before = running.identity;
  if (role === before.role && (role === "worker") === (running.manager === undefined)) return;
  const { files, lock, logger } = options;
  if (role === "manager") {
    try {
      await becomeManager(options, running, startManager);
      saveIdentity(files, running.identity);
    } catch (error) {
      await haltManager(running, logger);
      running.identity = before;
      throw error;
    }
    return;
  }
  const others = (running.manager?.members() ?? []).filter(({ nodeId }) => nodeId !== before.nodeId)
    .map(({ nodeId, addr }) => ({ nodeId, addr }));
  // One that never caught up knows of nobody.
  const managers = others.length > 0 ? others : before.managers;
  running.identity = { ...before, role, managers };
  await haltManager(running, logger);
  if (running.halted) return;
  try {
    // Workers hold nothing that would be worth a key.
    lock.setUnlockKey(undefined);
    saveIdentity(files, running.identity);
  } catch (error) {
    // Not done: the next renewal comes here again.
    running.identity = { ...running.identity, role: before.role };
    throw error;
  }
  // Last: a manager without its log would not start again.
  options.wipeLog();
}
