import type { LocalState, ManagerState } from "../../api/backend.ts";
import { parseHostPort } from "../../base/addresses.ts";
import type { GroupView } from "../manager/group_view.ts";
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

/** Raft's picture of the managers, as this one has it. */
export function managersState(manager: Manager): ManagerState {
  return stateOf(manager.ownView());
}

/**
 * The picture of the managers with what the leader knows, as only it hears from all of them; the own one where
 * nobody leads. @throws the signal's reason
 */
export async function heardManagersState(
  manager: Manager,
  signal?: AbortSignal,
): Promise<ManagerState> {
  const view = await manager.groupView();
  signal?.throwIfAborted();
  return stateOf(view);
}

function stateOf({ members, silentNodes }: GroupView): ManagerState {
  return {
    leaderId: members.find((member) => member.leader)?.nodeId ?? "",
    managers: members.map(({ nodeId, addr, reachable, voter }) => ({
      nodeId,
      addr,
      reachable,
      voter,
    })),
    silentNodes,
  };
}
