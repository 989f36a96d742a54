import type { GenericResource } from "../../model/service_spec.ts";
import { relocatesUntilMs } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { explain, filtersFor } from "./filters.ts";
import type { Filter, Refusal } from "./filters.ts";
import type { Candidate } from "./node_heap.ts";
import { versionKey } from "./node_info.ts";
import type { NodeInfo } from "./node_info.ts";
import { SpreadTree } from "./spread_tree.ts";

/** Where a task goes and what it gets there. */
export interface Placed {
  readonly task: Task;
  readonly info: NodeInfo;
  readonly generic: readonly GenericResource[];
}

/**
 * The tasks of one service and spec version with one another: the nodes are filtered and ranked once,
 * then each placement costs the logarithm of their number.
 */
export class PlacementGroup {
  readonly #view: View;
  readonly #infos: readonly NodeInfo[];
  readonly #byId: ReadonlyMap<string, NodeInfo>;
  readonly #lasting: readonly Filter[];
  readonly #passing: readonly Filter[];
  readonly #first: Task;
  readonly #nowMs: number;
  #tree: SpreadTree | undefined;
  /** Nodes that no amount of room would make unfit, by id. */
  readonly #candidates = new Map<string, Candidate>();
  /** The reason that holds for every task of the group until a place is found. */
  #reason: string | undefined;

  constructor(
    view: View,
    infos: readonly NodeInfo[],
    byId: ReadonlyMap<string, NodeInfo>,
    first: Task,
    nowMs: number,
  ) {
    this.#view = view;
    this.#infos = infos;
    this.#byId = byId;
    this.#first = first;
    this.#nowMs = nowMs;
    const filters = filtersFor(view, first, nowMs);
    this.#lasting = filters.filter(({ dynamic }) => !dynamic);
    this.#passing = filters.filter(({ dynamic }) => dynamic);
  }

  /** Where the task goes, or why nowhere. The caller counts it there before the next one is placed. */
  place(task: Task): Placed | string {
    if (task.NodeID !== undefined) return this.#confirm(task, task.NodeID);
    const tree = this.#tree ??= this.#plant();
    const old = this.#predecessor(task);
    const beside = old && this.#candidates.get(old.NodeID ?? "");
    if (old && beside) this.#discount(tree, beside, task, old, -1);
    const banned = old && relocatesUntilMs(old, this.#nowMs) > 0 ? old.NodeID : undefined;
    const chosen = this.#preferred(task) ?? this.#best(tree, banned);
    // While the predecessor is left out: what it holds by name is what the successor gets by name.
    const generic = chosen?.info.claim(task) ?? [];
    if (old && beside) this.#discount(tree, beside, task, old, 1);
    if (!chosen) {
      return old ? this.#explain(task) : this.#reason ??= this.#explain(task);
    }
    const placed = { task, info: chosen.info, generic };
    tree.changed(chosen, 1, this.#hasRoomAfter(chosen.info, placed));
    this.#reason = undefined;
    return placed;
  }

  /** A task that belongs to a node only waits until that one can take it. */
  #confirm(task: Task, nodeId: string): Placed | string {
    const info = this.#byId.get(nodeId);
    if (!info) return explain([]);
    const old = this.#predecessor(task);
    const beside = old?.NodeID === nodeId ? old : undefined;
    if (beside) discount(info, task, beside, -1);
    const refusal = this.#refusal(info);
    const generic = refusal ? [] : info.claim(task);
    if (beside) discount(info, task, beside, 1);
    return refusal ? explain([refusal]) : { task, info, generic };
  }

  #plant(): SpreadTree {
    const tree = new SpreadTree(this.#first.Spec.Placement?.Preferences);
    const service = this.#first.ServiceID ?? "";
    const version = versionKey(this.#first);
    for (const [order, info] of this.#infos.entries()) {
      const candidate: Candidate = {
        info,
        order,
        failures: info.failuresOf(version, this.#nowMs),
        ofService: info.countOf(service),
        total: info.active,
        position: -1,
      };
      const fits = this.#lasting.every((filter) => filter.passes(info));
      if (fits) this.#candidates.set(info.node.ID, candidate);
      tree.add(candidate, fits && this.#hasRoom(info));
    }
    return tree;
  }

  #hasRoom(info: NodeInfo): boolean {
    return this.#passing.every((filter) => filter.passes(info));
  }

  #hasRoomAfter(info: NodeInfo, placed: Placed): boolean {
    if (this.#passing.length === 0) return true;
    const task = placed.generic.length > 0
      ? { ...placed.task, GenericResources: placed.generic }
      : placed.task;
    info.count(task, 1);
    const room = this.#hasRoom(info);
    info.count(task, -1);
    return room;
  }

  /** The task that this one takes the place of, while it still weighs on a node. */
  #predecessor(task: Task): Task | undefined {
    const old = task.Replaces === undefined ? undefined : this.#view.get("task", task.Replaces);
    return old?.NodeID !== undefined && this.#byId.get(old.NodeID)?.has(old.ID) ? old : undefined;
  }

  #discount(tree: SpreadTree, beside: Candidate, task: Task, old: Task, sign: 1 | -1): void {
    discount(beside.info, task, old, sign);
    tree.changed(beside, isCounted(old) ? sign : 0, this.#hasRoom(beside.info));
  }

  #preferred(task: Task): Candidate | undefined {
    const candidate = this.#candidates.get(task.PreferredNodeID ?? "");
    return candidate && candidate.position >= 0 ? candidate : undefined;
  }

  /** The best node, but not the one that the task shall leave. */
  #best(tree: SpreadTree, banned: string | undefined): Candidate | undefined {
    const left = banned === undefined ? undefined : this.#candidates.get(banned);
    if (!left || left.position < 0) return tree.best();
    tree.changed(left, 0, false);
    const best = tree.best();
    tree.changed(left, 0, true);
    return best;
  }

  #explain(task: Task): string {
    const old = this.#predecessor(task);
    const refusals: Refusal[] = [];
    for (const info of this.#infos) {
      const beside = old?.NodeID === info.node.ID ? old : undefined;
      if (beside) discount(info, task, beside, -1);
      const refusal = this.#refusal(info);
      if (beside) discount(info, task, beside, 1);
      if (refusal) refusals.push(refusal);
      else if (beside && relocatesUntilMs(beside, this.#nowMs) > 0) refusals.push(LEAVING);
    }
    return explain(refusals);
  }

  #refusal(info: NodeInfo): Refusal | undefined {
    for (const filter of this.#lasting) if (!filter.passes(info)) return filter.refusal(info);
    for (const filter of this.#passing) if (!filter.passes(info)) return filter.refusal(info);
    return undefined;
  }
}

/** The node that a task is moved away from would fit. */
const LEAVING: Refusal = { what: "leaving", say: () => "1 node is the one that the task leaves" };

/**
 * A successor does not compete with its predecessor for the spread; and one that waits until that has
 * stopped may have what it holds, since they never run both.
 */
function discount(info: NodeInfo, task: Task, old: Task, sign: 1 | -1): void {
  info.countWanted(old, sign);
  if (task.DesiredState === "ready") info.countHeld(old, sign);
}

function isCounted(task: Task): boolean {
  return task.DesiredState !== "shutdown" && task.DesiredState !== "remove";
}
