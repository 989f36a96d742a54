import type { Clock } from "../../base/clock.ts";
import { sleep } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { assertQuorumWithout } from "../../core/control/nodes.ts";
import type { ConfState } from "../../core/raft/types.ts";
import type { Node } from "../../model/node.ts";
import type { View } from "../../model/view.ts";
import type { RaftRunner } from "./raft_runner.ts";
import type { Writer } from "./writer.ts";

/** How often membership and roles are compared: often while something is under way. */
const BUSY_PERIOD_MS = 200;
const QUIET_PERIOD_MS = 1_000;
/** A learner this close to the end of the log is caught up. */
const CAUGHT_UP_ENTRIES = 100;

export interface RoleManagerOptions {
  readonly nodeId: string;
  readonly view: View;
  readonly writer: Writer;
  readonly runner: RaftRunner;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reachable: () => readonly { readonly nodeId: string; readonly reachable: boolean }[];
}

/**
 * Brings raft's membership in line with the nodes' wanted roles; runs on the leader. Promotion lets the
 * node fetch a manager certificate, then it joins by itself (`raft.join`); demotion first leaves raft,
 * then loses the role, so that a worker is never a member.
 */
export async function runRoleManager(
  options: RoleManagerOptions,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleep(options.clock, isBusy(options) ? BUSY_PERIOD_MS : QUIET_PERIOD_MS, signal);
    try {
      await settleOnce(options);
    } catch (error) {
      options.logger.log("warn", "cannot settle the managers' roles yet", {
        error: messageOf(error),
      });
    }
  }
}

/** Somebody catches up, or a role is not yet what it shall be. */
function isBusy({ view, runner }: RoleManagerOptions): boolean {
  if (runner.node.status().conf.learners.length > 0) return true;
  for (const node of view.all("node")) if (node.Role !== (node.Spec.Role ?? "worker")) return true;
  return false;
}

async function settleOnce(options: RoleManagerOptions): Promise<void> {
  const { view, runner } = options;
  const conf = runner.node.status().conf;
  const promoted = conf.learners.find((id) => isCaughtUp(runner, id) && wantsManager(view, id));
  if (promoted !== undefined) {
    await runner.proposeConfChange({ type: "promote", id: promoted });
    return;
  }
  for (const node of [...view.all("node")]) {
    if (node.Spec.Role === "manager" && node.Role === "worker") {
      await setRole(options, node, "manager");
    }
    if (node.Spec.Role === "worker" && node.Role === "manager") await demote(options, node, conf);
  }
  for (const id of [...conf.voters, ...conf.learners]) {
    if (!view.get("node", id) && id !== options.nodeId) {
      await runner.proposeConfChange({ type: "remove", id });
    }
  }
}

function wantsManager(view: View, id: string): boolean {
  return view.get("node", id)?.Spec.Role === "manager";
}

function isCaughtUp(runner: RaftRunner, id: string): boolean {
  const status = runner.node.status();
  const match = status.peers.find((peer) => peer.id === id)?.match ?? 0;
  return match + CAUGHT_UP_ENTRIES >= status.lastIndex && match > 0;
}

async function demote(options: RoleManagerOptions, node: Node, conf: ConfState): Promise<void> {
  const { runner, logger } = options;
  if (conf.voters.includes(node.ID) || conf.learners.includes(node.ID)) {
    assertQuorumWithout(options.reachable(), node.ID, {
      view: options.view,
      doing: "demoting",
    });
    if (node.ID === options.nodeId) {
      const heir = options.reachable().find((m) =>
        m.reachable && m.nodeId !== node.ID && conf.voters.includes(m.nodeId)
      );
      if (heir) runner.transferLeadership(heir.nodeId);
      return;
    }
    await runner.proposeConfChange({ type: "remove", id: node.ID });
    logger.log("info", "manager left the consensus group", { node: node.ID });
  }
  await setRole(options, node, "worker");
}

async function setRole(
  { writer }: RoleManagerOptions,
  node: Node,
  role: "manager" | "worker",
): Promise<void> {
  await writer.write((tx) => {
    const current = tx.get("node", node.ID);
    if (!current || current.Role === role || current.Spec.Role !== role) return;
    const { ManagerAddr: _, ...rest } = current;
    tx.update("node", {
      ...(role === "worker" ? rest : current),
      Role: role,
      RenewCertificate: true,
    });
  });
}
