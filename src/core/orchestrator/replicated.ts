import { replicasOf } from "../../model/service.ts";
import type { Task } from "../../model/task.ts";
import { isDirty } from "./dirty.ts";
import type { Draft } from "./draft.ts";
import { isRelocating } from "./relocate.ts";
import { mayMove } from "./restart.ts";
import { isGone, isVacated, slotKey, slotsOf } from "./slots.ts";
import { createWaiting, isInUse, superviseSlot } from "./supervise.ts";
import type { SlotState } from "./supervise.ts";
import { planUpdate } from "./update.ts";

/**
 * Brings a replicated service's tasks in line with its spec: replaces what ended or was lost, adds or
 * removes slots, rolls a new spec out, empties drained nodes. One look; called again after every change
 * that concerns the service.
 */
export function reconcileReplicated(draft: Draft): void {
  const { service } = draft;
  const { view } = draft.situation;
  const nodeOf = (task: Task) => view.get("node", task.NodeID ?? "");
  // What may not run a second time is just stopped on a drained node.
  const leaves = mayMove(service) ? isGone : isVacated;
  const isLost = (task: Task) => task.NodeID !== undefined && leaves(nodeOf(task));
  const slots = slotsOf(draft.tasks(), slotKey)
    .map((slot) => superviseSlot(draft, slot, { global: false, isLost }));
  const inUse = slots.filter(isInUse);
  const replicas = replicasOf(service.Spec);
  const reused = fillUp(draft, slots, inUse, replicas);
  const surplus = new Set(chooseSurplus(draft, inUse, replicas));
  for (const slot of slots) {
    if (surplus.has(slot) || !(isInUse(slot) || reused.has(slot))) removeSlot(draft, slot);
  }
  planUpdate(
    draft,
    inUse.filter((slot) => !surplus.has(slot)),
    {
      isOutdated: (task) => isDirty(service, task, nodeOf(task)),
      isMisplaced: (task) =>
        isRelocating(draft, task) || (task.NodeID !== undefined && isVacated(nodeOf(task))),
    },
    ({ slot }) => ({ slot: Number(slot.key) }),
  );
}

/** Creates what is missing in the lowest free slots; answers which slots with a past were taken. */
function fillUp(
  draft: Draft,
  slots: readonly SlotState[],
  inUse: readonly SlotState[],
  replicas: number,
): Set<SlotState> {
  const reused = new Set<SlotState>();
  let missing = replicas - inUse.length;
  if (missing <= 0) return reused;
  const byKey = new Map(slots.map((slot) => [slot.key, slot]));
  for (let number = 1; missing > 0; number++) {
    const slot = byKey.get(String(number));
    if (slot && isInUse(slot)) continue;
    if (slot) reused.add(slot);
    createWaiting(draft, slot ?? NO_PAST, { slot: number }, {});
    missing--;
  }
  return reused;
}

const NO_PAST = { tasks: [] };

/**
 * Which slots go when there are too many: those that leave the nodes most even. Slots are numbered as
 * the n-th on their node, running ones and low numbers first; the highest n goes first (SwarmKit).
 */
function chooseSurplus(
  draft: Draft,
  inUse: readonly SlotState[],
  replicas: number,
): readonly SlotState[] {
  if (inUse.length <= replicas) return [];
  const { view } = draft.situation;
  const placed = inUse.map((slot) => {
    const task = slot.live.find(({ Status }) => Status.State === "running") ?? slot.live[0] ??
      slot.tasks[0];
    const node = task?.NodeID;
    const running = task?.Status.State === "running" && !isVacated(view.get("node", node ?? ""));
    return { slot, number: Number(slot.key), node, running };
  }).sort((a, b) => Number(b.running) - Number(a.running) || a.number - b.number);
  const perNode = new Map<string, number>();
  const ranked = placed.map((entry) => {
    const nth = entry.node === undefined ? Infinity : (perNode.get(entry.node) ?? 0) + 1;
    if (entry.node !== undefined) perNode.set(entry.node, nth);
    return { ...entry, nth };
  });
  ranked.sort((a, b) =>
    a.nth === b.nth ? Number(b.running) - Number(a.running) || a.number - b.number : a.nth - b.nth
  );
  return ranked.slice(replicas).map(({ slot }) => slot);
}

/** Wants every task of a slot gone, history included. */
function removeSlot(draft: Draft, slot: SlotState): void {
  for (const task of slot.live) if (!draft.isStored(task)) draft.raise(task, "remove");
  for (const task of slot.tasks) draft.raise(task, "remove");
}
