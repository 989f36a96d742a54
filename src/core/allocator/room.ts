import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";

/** Whether a task holds on to its node: handed over, and not known to have ended. */
export function occupiesNode(task: Task): boolean {
  return compareStates(task.Status.State, "assigned") >= 0 && !isTerminal(task.Status.State);
}

/** Nodes that will need an address on one network. */
interface Expected {
  /** Known by name. */
  readonly nodes: Set<string>;
  /** Tasks that may go to any node. */
  loose: number;
  /** Nodes without an address there that these may go to, beside `nodes`. */
  others: number;
}

/**
 * How many addresses of a network have to stay free for the nodes that its tasks go to: a task whose node
 * has none there cannot start. Of tasks that have no node yet, each may go to another one.
 */
export class Room {
  readonly #hasAddress: (networkId: string, nodeId: string) => boolean;
  readonly #choosable = new Set<string>();
  readonly #expected = new Map<string, Expected>();

  /** @param hasAddress whether a node has its address on a network already */
  constructor(view: View, hasAddress: (networkId: string, nodeId: string) => boolean) {
    this.#hasAddress = hasAddress;
    for (const { ID, Spec, Status } of view.all("node")) {
      if (Status.State !== "down" && Spec.Availability === "active") this.#choosable.add(ID);
    }
    for (const task of view.all("task")) {
      const waits = task.Status.State === "pending" &&
        compareStates(task.DesiredState, "shutdown") < 0;
      if (!waits && !occupiesNode(task)) continue;
      for (const { NetworkID } of task.NetworksAttachments ?? []) {
        this.expect(NetworkID, task.NodeID);
      }
    }
  }

  /** A task with an address on the network goes to this node, or to any. */
  expect(networkId: string, nodeId: string | undefined): void {
    const expected = this.#on(networkId);
    if (!nodeId) expected.loose++;
    else if (this.#isNew(networkId, nodeId)) {
      expected.nodes.add(nodeId);
      if (this.#choosable.has(nodeId)) expected.others--;
    }
  }

  /** Addresses to keep, also for one task more that goes to `more.nodeId`, or to any node. */
  kept(networkId: string, more?: { readonly nodeId: string | undefined }): number {
    let { nodes: { size: named }, loose, others } = this.#on(networkId);
    if (more && !more.nodeId) loose++;
    else if (more?.nodeId && this.#isNew(networkId, more.nodeId)) {
      named++;
      if (this.#choosable.has(more.nodeId)) others--;
    }
    return named + Math.min(loose, others);
  }

  #on(networkId: string): Expected {
    const known = this.#expected.get(networkId);
    if (known) return known;
    let others = 0;
    for (const nodeId of this.#choosable) if (!this.#hasAddress(networkId, nodeId)) others++;
    const made = { nodes: new Set<string>(), loose: 0, others };
    this.#expected.set(networkId, made);
    return made;
  }

  /** Whether an address for the node has to be found yet. */
  #isNew(networkId: string, nodeId: string): boolean {
    return !this.#hasAddress(networkId, nodeId) && !this.#on(networkId).nodes.has(nodeId);
  }
}
