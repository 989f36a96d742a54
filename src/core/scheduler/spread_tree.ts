import type { Node } from "../../model/node.ts";
import type { Placement } from "../../model/service_spec.ts";
import { NodeHeap } from "./node_heap.ts";
import type { Candidate } from "./node_heap.ts";

/** Nodes with one value of a spread label; the innermost level holds the candidates. */
interface Branch {
  readonly value: string;
  readonly parent: Branch | undefined;
  readonly branches: Map<string, Branch>;
  readonly heap: NodeHeap;
  /** Tasks of the service in here, on nodes that take no more too. */
  tasks: number;
  /** Candidates in here that can take a task. */
  open: number;
}

/**
 * The nodes as the placement preferences see them: at each level a task goes where the service has
 * fewest tasks, among the branches that can take one; nodes without the label are a branch too. Without
 * preferences it is one heap.
 */
export class SpreadTree {
  readonly #descriptors: readonly string[];
  readonly #root = branch("", undefined);
  readonly #leaves = new Map<Candidate, Branch>();

  constructor(preferences: Placement["Preferences"] = []) {
    this.#descriptors = preferences.map(({ Spread }) => Spread?.SpreadDescriptor ?? "");
  }

  /** Adds a node; `open` says whether it can take a task now. */
  add(candidate: Candidate, open: boolean): void {
    let at = this.#root;
    at.tasks += candidate.ofService;
    for (const descriptor of this.#descriptors) {
      const value = labelOf(candidate.info.node, descriptor);
      let next = at.branches.get(value);
      if (!next) at.branches.set(value, next = branch(value, at));
      next.tasks += candidate.ofService;
      at = next;
    }
    this.#leaves.set(candidate, at);
    if (open) this.#open(candidate, at);
  }

  best(): Candidate | undefined {
    let at = this.#root;
    while (at.branches.size > 0) {
      let fewest: Branch | undefined;
      for (const next of at.branches.values()) {
        if (next.open > 0 && (!fewest || comesBefore(next, fewest))) fewest = next;
      }
      if (!fewest) return undefined;
      at = fewest;
    }
    return at.heap.best;
  }

  /** The candidate's load changed by `tasks` of the service; `open` says whether it takes another. */
  changed(candidate: Candidate, tasks: number, open: boolean): void {
    const leaf = this.#leaves.get(candidate);
    if (!leaf) return;
    candidate.ofService += tasks;
    candidate.total += tasks;
    for (let at: Branch | undefined = leaf; at; at = at.parent) at.tasks += tasks;
    const wasOpen = candidate.position >= 0;
    if (wasOpen && open) leaf.heap.moved(candidate);
    else if (open) this.#open(candidate, leaf);
    else if (wasOpen) {
      leaf.heap.remove(candidate);
      for (let at: Branch | undefined = leaf; at; at = at.parent) at.open--;
    }
  }

  #open(candidate: Candidate, leaf: Branch): void {
    leaf.heap.add(candidate);
    for (let at: Branch | undefined = leaf; at; at = at.parent) at.open++;
  }
}

function branch(value: string, parent: Branch | undefined): Branch {
  return { value, parent, branches: new Map(), heap: new NodeHeap(), tasks: 0, open: 0 };
}

function comesBefore(a: Branch, b: Branch): boolean {
  return a.tasks !== b.tasks ? a.tasks < b.tasks : a.value < b.value;
}

function labelOf(node: Node, descriptor: string): string {
  const match = /^(node|engine)\.labels\.(.+)$/.exec(descriptor);
  if (!match) return "";
  const labels = match[1] === "node" ? node.Spec.Labels : node.Description?.Engine?.Labels;
  return labels?.[match[2]!] ?? "";
}
