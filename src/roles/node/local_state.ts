import type { LocalState, ManagerState } from "../../api/backend.ts";
import { parseHostPort } from "../../base/addresses.ts";
import type { Manager } from "../manager/manager.ts";
import type { Trust } from "./ports.ts";
import type { Running } from "./running.ts";

/** What a node says of itself that is in no cluster, or not yet. */
export function outsideState(state: LocalState["state"], error: string): LocalState {
  return { state, nodeId: "", nodeAddr: "", manager: false, error, remoteManagers: [] };
}

/** What a member says of itself. */
export function memberState(running: Running, error: string, trust: Trust): LocalState {
  const managers = running.manager?.members() ?? running.identity.managers;
  return {
    state: "active",
    nodeId: running.identity.nodeId,
    nodeAddr: parseHostPort(running.identity.advertiseAddr, 0).host,
    manager: running.manager !== undefined,
    error,
    certificateNotAfterMs: trust.inspect(running.credentials.current().certPem).notAfterMs,
    remoteManagers: managers.map(({ nodeId, addr }) => ({ NodeID: nodeId, Addr: addr })),
  };
}

/** Raft's picture of the managers. */
export function managersState(manager: Manager): ManagerState {
  const members = manager.members();
  return {
    leaderId: members.find((member) => member.leader)?.nodeId ?? "",
    managers: members.map(({ nodeId, addr, reachable, voter }) => ({
      nodeId,
      addr,
      reachable,
      voter,
    })),
    silentNodes: manager.leaderWork?.silentNodes ?? [],
  };
}
