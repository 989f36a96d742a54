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

/** A leader that takes longer is as good as none. */
const LEADER_ANSWERS_MS = 2_000;

/** What the leader answers to `cluster.reachable`: ids of nodes. */
export interface Heard {
  /** The managers that it hears from, itself among them. */
  readonly reachable: readonly string[];
  /** Nodes whose session ended a moment ago. */
  readonly silent: readonly string[];
}

export function heardBy(manager: Pick<Manager, "members" | "leaderWork">): Heard {
  return {
    reachable: manager.members().filter(({ reachable }) => reachable).map(({ nodeId }) => nodeId),
    silent: manager.leaderWork?.silentNodes ?? [],
  };
}

/**
 * The picture of the managers with what the leader knows, as only it hears from all of them: to any other manager
 * everybody seems to be there while somebody leads. The own picture where the leader does not answer.
 */
export async function heardManagersState(
  manager: Manager,
  signal?: AbortSignal,
): Promise<ManagerState> {
  const own = managersState(manager);
  if (manager.runner.leading || own.leaderId === "") return own;
  const late = AbortSignal.timeout(LEADER_ANSWERS_MS);
  const within = signal ? AbortSignal.any([signal, late]) : late;
  const here = () => Promise.resolve(heardBy(manager));
  const { reachable, silent } = (await manager.onLeader("cluster.reachable", {}, here, within)
    // A leader of an older version does not know the question.
    .catch(() => undefined) ?? {}) as Partial<Heard>;
  signal?.throwIfAborted();
  if (!Array.isArray(reachable) || !Array.isArray(silent)) return own;
  return {
    ...own,
    silentNodes: silent,
    managers: own.managers.map((each) => ({ ...each, reachable: reachable.includes(each.nodeId) })),
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
