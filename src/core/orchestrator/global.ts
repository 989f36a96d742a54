import { matches, parseConstraints } from "../../model/constraint.ts";
import type { Constraint } from "../../model/constraint.ts";
import type { Node } from "../../model/node.ts";
import type { Service } from "../../model/service.ts";
import type { Task } from "../../model/task.ts";
import { isDirty } from "./dirty.ts";
import type { Draft } from "./draft.ts";
import { isWanted, nodeKey, slotsOf } from "./slots.ts";
import type { Slot } from "./slots.ts";
import { createWaiting, isInUse, superviseSlot } from "./supervise.ts";
import type { SlotState } from "./supervise.ts";
import { planUpdate } from "./update.ts";

/**
 * Keeps one task of a global service on every node that is not drained and meets the constraints. On a
 * node that is down nothing changes: its task has no elsewhere to go and goes on when the node is back.
 */
export function reconcileGlobal(draft: Draft): void {
  const { service } = draft;
  const { view } = draft.situation;
  const constraints = constraintsOf(service);
  const slots = new Map(slotsOf(draft.tasks(), nodeKey).map((slot) => [slot.key, slot]));
  const updatable: SlotState[] = [];
  for (const slot of slots.values()) {
    const node = view.get("node", slot.key);
    if (!node || !belongsOn(node, constraints)) stopOrRemove(draft, slot, node);
  }
  for (const node of sortedNodes(draft)) {
    if (!belongsOn(node, constraints) || node.Status.State === "down") continue;
    const slot = slots.get(node.ID) ?? { key: node.ID, tasks: [] };
    const state = superviseSlot(draft, slot, { global: true, isLost: () => false });
    if (node.Spec.Availability === "pause") continue;
    if (isInUse(state)) updatable.push(state);
    else createWaiting(draft, slot, { nodeId: node.ID }, {});
  }
  planUpdate(draft, updatable, {
    isOutdated: (task) => isDirty(service, task, view.get("node", task.NodeID ?? "")),
    isMisplaced: () => false,
  }, ({ slot }) => ({ nodeId: slot.key }));
}

export function constraintsOf(service: Service): Constraint[] {
  return parseConstraints(service.Spec.TaskTemplate?.Placement?.Constraints ?? []);
}

export function belongsOn(node: Node, constraints: readonly Constraint[]): boolean {
  return node.Spec.Availability !== "drain" &&
    constraints.every((constraint) => matches(constraint, node));
}

export function sortedNodes(draft: Draft): Node[] {
  return [...draft.situation.view.all("node")].sort((a, b) => a.ID < b.ID ? -1 : 1);
}

/** A removed node's tasks are forgotten, those of a node that does not fit any more are stopped. */
export function stopOrRemove(draft: Draft, slot: Slot, node: Node | undefined): void {
  for (const task of slot.tasks) {
    if (!node) draft.raise(task, "remove");
    else if (isWanted(task)) stopUnlessDone(draft, task);
  }
}

function stopUnlessDone(draft: Draft, task: Task): void {
  if (task.Status.State !== "complete") draft.raise(task, "shutdown");
}
