import { FleetError } from "../../base/errors.ts";
import { timeText } from "../../model/meta.ts";
import { checkNodeName } from "../../model/names.ts";
import { nodeName } from "../../model/node.ts";
import type { Node } from "../../model/node.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { View } from "../../model/view.ts";
import type { ControlContext } from "./context.ts";
import { find, findCluster, findVersion } from "./lookup.ts";
import type { ControlArgs } from "./methods.ts";

/** Certificates that outlive their node are refused for this long after their end, for skewed clocks. */
const BLOCK_GRACE_MS = 7 * 24 * 3600 * 1000;
const DEFAULT_CERTIFICATE_MS = 90 * 24 * 3600 * 1000;

/** Labels, availability and wanted role. The role manager carries a role change out. */
export function updateNode(context: ControlContext, args: ControlArgs<"node.update">): null {
  const { tx } = context;
  checkNodeName(args.spec.Name);
  const node = findVersion(tx, "node", args.id, args.version);
  if (args.spec.Name && args.spec.Name !== node.Spec.Name) {
    checkNameIsFree(tx, node, args.spec.Name);
  }
  const spec = {
    ...args.spec,
    Labels: args.spec.Labels ?? {},
    Role: args.spec.Role ?? "worker",
    Availability: args.spec.Availability ?? "active",
  };
  const wasManager = node.Spec.Role === "manager";
  if (wasManager && spec.Role === "worker") checkDemotion(context, node);
  tx.update("node", { ...node, Spec: spec });
  return null;
}

/** Two nodes of one name could not be told apart by it; a host name stays a name of its node. */
function checkNameIsFree(view: View, { ID }: Node, name: string): void {
  for (const other of view.all("node")) {
    if (other.ID === ID) continue;
    if (other.Spec.Name !== name && other.Description?.Hostname !== name) continue;
    throw new FleetError(
      "conflict",
      `the name ${name} is taken by node ${other.ID}${
        nodeName(other) === name ? "" : ` (${nodeName(other)}, whose host name it is)`
      }; choose another one`,
    );
  }
}

/** Refuses what would stop the cluster. */
function checkDemotion({ tx, managers }: ControlContext, node: Node): void {
  const wanted = [...tx.all("node")].filter((other) => other.Spec.Role === "manager");
  if (wanted.length <= 1) {
    throw new FleetError(
      "invalid",
      "attempting to demote the last manager of the swarm",
    );
  }
  assertQuorumWithout(managers, node.ID, { view: tx, doing: "demoting" });
}

/** The managers left must have a majority among themselves that can be reached. */
export function assertQuorumWithout(
  managers: ControlContext["managers"],
  nodeId: string,
  { view, doing }: { readonly view: View; readonly doing: string },
): void {
  const left = managers.filter((manager) => manager.nodeId !== nodeId);
  if (left.length === managers.length) return;
  const reachable = left.filter((manager) => manager.reachable).length;
  const quorum = Math.floor(left.length / 2) + 1;
  if (reachable >= quorum) return;
  const name = (id: string) => {
    const node = view.get("node", id);
    return node ? nodeName(node) : id;
  };
  const lost = left.filter((manager) => !manager.reachable).map((manager) => name(manager.nodeId));
  throw new FleetError(
    "invalid",
    `${doing} node ${
      name(nodeId)
    } would lose the quorum: of the ${left.length} managers left only ${reachable} ` +
      `can be reached and ${quorum} are needed; bring back ${lost.join(", ")} first`,
  );
}

/** Forgets a node and refuses its certificate from now on. */
export function removeNode(
  { tx, nowMs, managers }: ControlContext,
  args: ControlArgs<"node.remove">,
): null {
  const node = find(tx, "node", args.id);
  if (node.Spec.Role === "manager" || managers.some((manager) => manager.nodeId === node.ID)) {
    throw new FleetError(
      "invalid",
      `node ${node.ID} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
    );
  }
  if (!args.force && node.Status.State !== "down") {
    throw new FleetError(
      "invalid",
      `node ${node.ID} is not down and can't be removed; stop it first or use --force`,
    );
  }
  for (const task of [...tx.tasksOfNode(node.ID)]) {
    if (isTerminal(task.Status.State)) continue;
    tx.update("task", {
      ...task,
      Status: {
        ...task.Status,
        State: "orphaned",
        Timestamp: timeText(nowMs),
        AppliedAt: timeText(nowMs),
        Message: "node was removed",
      },
    });
  }
  tx.remove("node", node.ID);
  const cluster = findCluster(tx);
  const expiry = node.CertificateExpiry
    ? Date.parse(node.CertificateExpiry)
    : nowMs + DEFAULT_CERTIFICATE_MS;
  const blocked = Object.entries(cluster.BlockedNodes ?? {})
    .filter(([, until]) => Date.parse(until) > nowMs);
  tx.update("cluster", {
    ...cluster,
    BlockedNodes: Object.fromEntries([...blocked, [node.ID, timeText(expiry + BLOCK_GRACE_MS)]]),
  });
  return null;
}
