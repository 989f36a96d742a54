import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Task } from "../../model/task.ts";
import type { Manager } from "../manager/manager.ts";
import type { RpcDialer } from "../rpc.ts";
import { heardManagersState } from "./local_state.ts";

/**
 * Why a node that does not run as a member cannot leave just so. Whoever is locked, or failed to start with what
 * is stored, is a member all the same: only `--force` makes it forget that. The sentence for locked is Docker's.
 */
export function refuseLeaveOutside(
  why: { readonly locked: boolean; readonly error: string },
): never {
  throw new FleetError(
    "unavailable",
    why.locked
      ? "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message."
      : why.error
      ? `this node's manager does not run: ${why.error}; use \`--force\` to leave all the same`
      : "This node is not part of a swarm",
  );
}

/** A manager leaves only when asked twice: the sentence says what would be lost, by what the leader hears. */
export async function refuseLeave(manager: Manager, lost = ""): Promise<never> {
  const { managers: members } = await heardManagersState(manager);
  const head =
    "You are attempting to leave the swarm on a node that is participating as a manager. " +
    lost;
  if (members.length <= 1) {
    throw new FleetError(
      "unavailable",
      head +
        "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ",
    );
  }
  const reachable = members.filter((member) => member.reachable).length;
  const quorumBreaks = reachable - 1 < Math.floor((members.length - 1) / 2) + 1;
  const loss = quorumBreaks
    ? `Removing this node leaves ${members.length - 1} managers of which only ${
      reachable - 1
    } can be reached: quorum would be lost. `
    : "";
  throw new FleetError(
    "unavailable",
    head + loss +
      "Demote it first (fleet node demote), or use `--force` to suppress this message. ",
  );
}

/** Containers that a sentence names. */
const MAX_NAMED = 5;

/** Which containers run on networks of the cluster here, by their places, as a sentence; empty for none. */
export function containersThatLose(attached: readonly Task[]): string {
  const places = attached.map(({ ID, Name, NetworksAttachments }) =>
    `${Name ?? `of attachment ${ID}`} (${NetworksAttachments?.[0]?.Name ?? ""})`
  ).sort();
  if (places.length === 0) return "";
  const more = places.length > MAX_NAMED ? ` and ${places.length - MAX_NAMED} more` : "";
  return `Networks of the cluster go from this node, and with them from containers of yours: ${
    places.slice(0, MAX_NAMED).join(", ")
  }${more}. `;
}

/** @throws FleetError unavailable: what this node takes along is lost, unless the user says so twice */
export async function checkLeave(manager: Manager | undefined, lost: string): Promise<void> {
  if (manager) await refuseLeave(manager, lost);
  if (lost === "") return;
  throw new FleetError(
    "unavailable",
    `${lost}Remove them first (docker rm -f), take them off (docker network disconnect), or use \`--force\` to leave all the same. `,
  );
}

/** Time for the other managers to hear that this one goes. */
const LEAVE_TIMEOUT_MS = 3_000;

/** Takes this manager out of the consensus group, as far as the others can be reached. */
export async function leaveCluster(
  manager: Manager,
  dialer: RpcDialer,
  logger: Logger,
): Promise<void> {
  const others = manager.members().filter((member) =>
    member.nodeId !== manager.nodeId && member.reachable
  );
  if (others.length === 0) return;
  try {
    if (manager.runner.leading) {
      const heir = others.find((member) => manager.confState().voters.includes(member.nodeId));
      if (heir) {
        manager.runner.transferLeadership(heir.nodeId);
        const caller = await dialer.connect(heir.addr, { timeoutMs: LEAVE_TIMEOUT_MS });
        try {
          await untilLeads(caller, heir.nodeId);
          await caller.call("raft.leave", {}, { timeoutMs: LEAVE_TIMEOUT_MS });
        } finally {
          caller.close();
        }
      }
    } else {
      const here = () => Promise.resolve(null);
      await manager.onLeader("raft.leave", {}, here, AbortSignal.timeout(LEAVE_TIMEOUT_MS));
    }
  } catch (error) {
    logger.log("warn", "left without the others' consent; remove this node on another manager", {
      error: messageOf(error),
    });
  }
}

/** Polls of a transfer: it takes one round trip, and at most an election. */
const TRANSFER_POLLS = 30;

async function untilLeads(
  caller: Awaited<ReturnType<RpcDialer["connect"]>>,
  nodeId: string,
): Promise<void> {
  for (let i = 0; i < TRANSFER_POLLS; i++) {
    const leader = await caller.call("cluster.leader", {}).catch(() => undefined) as
      | { nodeId: string }
      | undefined;
    if (leader?.nodeId === nodeId) return;
    await new Promise((resolve) => AbortSignal.timeout(100).addEventListener("abort", resolve));
  }
}
