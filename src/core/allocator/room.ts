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
}

/**
 * How many addresses of a network have to stay free for the nodes that its tasks go to: a task whose node
 * has none there cannot start. Of tasks that have no node yet, each may go to another one.
 */
export class Room {
  readonly #hasAddress: (networkId: string, nodeId: string) => boolean;
  readonly #choosable: readonly string[];
  readonly #expected = new Map<string, Expected>();

  /** @param hasAddress whether a node has its address on a network already */
  constructor(view: View, hasAddress: (networkId: string, nodeId: string) => boolean) {
    this.#hasAddress = hasAddress;
    this.#choosable = [...view.all("node")].filter(({ Spec, Status }) =>
      Status.State !== "down" && Spec.Availability === "active"
    ).map(({ ID }) => ID);
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
    let expected = this.#expected.get(networkId);
    if (!expected) this.#expected.set(networkId, expected = { nodes: new Set(), loose: 0 });
    if (!nodeId) expected.loose++;
    else if (!this.#hasAddress(networkId, nodeId)) expected.nodes.add(nodeId);
  }

  /** Addresses to keep, also for one task more that goes to `more.nodeId`, or to any node. */
  kept(networkId: string, more?: { readonly nodeId: string | undefined }): number {
    const { nodes, loose } = this.#expected.get(networkId) ??
      { nodes: new Set<string>(), loose: 0 };
    const comes = more?.nodeId;
    const isNew = comes && !nodes.has(comes) && !this.#hasAddress(networkId, comes);
    const named = nodes.size + (isNew ? 1 : 0);
    const unnamed = loose + (more && !comes ? 1 : 0);
    if (unnamed === 0) return named;
    const others =
      this.#choosable.filter((nodeId) =>
        nodeId !== comes && !nodes.has(nodeId) && !this.#hasAddress(networkId, nodeId)
      ).length;
    return named + Math.min(unnamed, others);
  }
}
