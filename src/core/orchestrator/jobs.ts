import type { Service } from "../../model/service.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { Draft } from "./draft.ts";
import { belongsOn, constraintsOf, sortedNodes, stopOrRemove } from "./global.ts";
import { isGone, isVacated, isWanted, nodeKey, slotKey, slotsOf } from "./slots.ts";
import type { Slot } from "./slots.ts";
import { createWaiting, isInUse, superviseSlot } from "./supervise.ts";
import type { SlotState } from "./supervise.ts";

/**
 * Runs a job's slots (0, 1, …) to completion, at most `MaxConcurrent` at a time. A slot that completed
 * is done until the service is updated; one that failed restarts by the policy and is given up when that
 * says no.
 */
export function reconcileReplicatedJob(draft: Draft): void {
  const { view } = draft.situation;
  const { MaxConcurrent = 1, TotalCompletions = MaxConcurrent } =
    draft.service.Spec.Mode?.ReplicatedJob ?? {};
  const isLost = (task: Task) =>
    task.NodeID !== undefined && isVacated(view.get("node", task.NodeID));
  const taken = new Set<number>();
  let running = 0;
  const slots = currentSlots(draft, slotKey);
  for (const slot of slots) {
    if (Number(slot.key) >= TotalCompletions) {
      stopWhatLives(draft, slot);
      continue;
    }
    if (settleCompleted(draft, slot)) {
      taken.add(Number(slot.key));
      continue;
    }
    const state = superviseSlot(draft, slot, { global: false, isLost });
    if (!isInUse(state)) continue;
    taken.add(Number(slot.key));
    if (state.idle !== "for good") running++;
  }
  let room = Math.min(MaxConcurrent - running, TotalCompletions - taken.size);
  if (room <= 0) return;
  const pasts = new Map(slots.map((slot) => [slot.key, slot]));
  for (let number = 0; room > 0; number++) {
    if (taken.has(number)) continue;
    createWaiting(draft, pasts.get(String(number)) ?? { tasks: [] }, { slot: number }, {});
    room--;
  }
}

/** Runs one task to completion on every active node that meets the constraints, once per iteration. */
export function reconcileGlobalJob(draft: Draft): void {
  const constraints = constraintsOf(draft.service);
  const slots = new Map(currentSlots(draft, nodeKey).map((slot) => [slot.key, slot]));
  for (const slot of slots.values()) {
    const node = draft.situation.view.get("node", slot.key);
    if (!node || !belongsOn(node, constraints)) stopOrRemove(draft, slot, node);
  }
  for (const node of sortedNodes(draft)) {
    if (!belongsOn(node, constraints) || isGone(node)) continue;
    const slot = slots.get(node.ID) ?? { key: node.ID, tasks: [] };
    if (settleCompleted(draft, slot)) continue;
    const state = superviseSlot(draft, slot, { global: true, isLost: () => false });
    const ready = node.Status.State === "ready" && node.Spec.Availability !== "pause";
    if (!isInUse(state) && ready) createWaiting(draft, slot, { nodeId: node.ID }, {});
  }
}

/**
 * All places with what the current iteration has there; what still runs of older ones is removed, and
 * until it has stopped the place's next task waits.
 */
function currentSlots(draft: Draft, keyOf: (task: Task) => string): Slot[] {
  const { service } = draft;
  return slotsOf([...draft.tasks()], keyOf).map(({ key, tasks }) => {
    const older = tasks.filter((task) => !isOfIteration(service, task));
    if (older.length === 0) return { key, tasks };
    for (const task of older) {
      if (isWanted(task) && !isTerminal(task.Status.State)) draft.raise(task, "remove");
    }
    return { key, tasks: tasks.filter((task) => isOfIteration(service, task)), older };
  });
}

export function isOfIteration(service: Service, task: Task): boolean {
  return (task.JobIteration?.Index ?? 0) === (service.JobStatus?.JobIteration.Index ?? 0);
}

/** Whether the slot completed; a second task of it, started when a node was thought lost, is stopped. */
function settleCompleted(draft: Draft, slot: Slot): boolean {
  const done = slot.tasks.some(({ Status }) => Status.State === "complete");
  if (done) stopWhatLives(draft, slot);
  return done;
}

function stopWhatLives(draft: Draft, slot: Slot | SlotState): void {
  for (const task of slot.tasks) {
    if (isWanted(task) && task.Status.State !== "complete") draft.raise(task, "shutdown");
  }
}
