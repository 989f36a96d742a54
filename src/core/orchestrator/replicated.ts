import { modeOf, replicasOf } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { compareStates } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { newTask } from "./new_task.ts";
import { Plan } from "./outcome.ts";
import type { Outcome, Situation } from "./outcome.ts";
import { settleSlot } from "./settle_slot.ts";
import { isLive, isLost, slotsOf } from "./slots.ts";
import type { Slot } from "./slots.ts";
import { planUpdate } from "./update.ts";

/**
 * Brings a replicated service's tasks in line with its spec: replaces what ended or was lost, adds or
 * removes slots, rolls a new spec out. One look; called again after every change that concerns it.
 */
export function reconcileReplicated(situation: Situation, service: Service): Outcome {
  const plan = new Plan();
  const { view } = situation;
  const slots = slotsOf(view, service, (task) => String(task.Slot ?? 0));
  const occupied: Slot[] = [];
  for (const slot of slots) {
    if (settleSlot(situation, plan, service, slot)) occupied.push(slot);
  }
  const replicas = modeOf(service.Spec) === "replicated" ? replicasOf(service.Spec) : 0;
  if (occupied.length < replicas) {
    const taken = new Set(occupied.map(({ key }) => Number(key)));
    for (let slot = 1, missing = replicas - occupied.length; missing > 0; slot++) {
      if (taken.has(slot)) continue;
      plan.changes.push({
        op: "create",
        table: "task",
        object: newTask(situation, service, { slot }),
      });
      missing--;
    }
  }
  const surplus = occupied.length > replicas ? chooseSurplus(situation, occupied, replicas) : [];
  for (const slot of surplus) removeSlot(plan, slot);
  planUpdate(situation, plan, service, occupied.filter((slot) => !surplus.includes(slot)));
  return plan.outcome();
}

/**
 * Which slots go when there are too many: those that leave the nodes most even. Slots are numbered as
 * the n-th on their node, running ones and low numbers first; the highest n goes first (SwarmKit 4.2).
 */
function chooseSurplus(situation: Situation, occupied: readonly Slot[], replicas: number): Slot[] {
  const placed = occupied.map((slot) => {
    const task = slot.tasks.find(isLive) ?? slot.tasks[0]!;
    return {
      slot,
      task,
      running: task.Status.State === "running" &&
        !isLost(situation.view.get("node", task.NodeID ?? "")),
    };
  });
  placed.sort((a, b) =>
    Number(b.running) - Number(a.running) || Number(a.slot.key) - Number(b.slot.key)
  );
  const perNode = new Map<string, number>();
  const ranked = placed.map((entry) => {
    const node = entry.task.NodeID;
    const nth = node === undefined ? Infinity : (perNode.get(node) ?? 0) + 1;
    if (node !== undefined) perNode.set(node, nth);
    return { ...entry, nth };
  });
  ranked.sort((a, b) => a.nth - b.nth || Number(a.slot.key) - Number(b.slot.key));
  return ranked.slice(replicas).map(({ slot }) => slot);
}

/** Wants every task of a slot gone, history included. */
export function removeSlot(plan: Plan, slot: Slot): void {
  for (const task of slot.tasks) markForRemoval(plan, task);
}

export function markForRemoval(plan: Plan, task: Task): void {
  if (compareStates(task.DesiredState, "remove") >= 0) return;
  plan.changes.push({ op: "update", table: "task", object: { ...task, DesiredState: "remove" } });
}

/** The tasks of a service that is gone are stopped and removed. */
export function removeTasksOf(situation: Situation, serviceId: string): Outcome {
  const plan = new Plan();
  for (const task of situation.view.tasksOfService(serviceId)) markForRemoval(plan, task);
  return plan.outcome();
}
