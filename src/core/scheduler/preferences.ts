import type { Placement } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";
import type { NodeLoad } from "./node_load.ts";

/**
 * The nodes of the branch that a task shall go to: at each preference the branch (nodes with one value
 * of the label; nodes without it are a branch too) that holds the fewest tasks of the service.
 */
export function spreadBranches(
  loads: readonly NodeLoad[],
  preferences: NonNullable<Placement["Preferences"]>,
  task: Task,
): readonly NodeLoad[] {
  let pool = loads;
  for (const { Spread } of preferences) {
    const descriptor = Spread?.SpreadDescriptor ?? "";
    const branches = new Map<string, NodeLoad[]>();
    for (const load of pool) {
      const value = labelOf(load, descriptor);
      const branch = branches.get(value);
      if (branch) branch.push(load);
      else branches.set(value, [load]);
    }
    let best: NodeLoad[] | undefined;
    let fewest = Infinity;
    for (const [, branch] of [...branches].sort(([a], [b]) => a < b ? -1 : 1)) {
      const count = branch.reduce(
        (sum, load) => sum + (load.perService.get(task.ServiceID ?? "") ?? 0),
        0,
      );
      if (count < fewest) [best, fewest] = [branch, count];
    }
    pool = best ?? pool;
  }
  return pool;
}

function labelOf({ node }: NodeLoad, descriptor: string): string {
  const match = /^(node|engine)\.labels\.(.+)$/.exec(descriptor);
  if (!match) return "";
  const labels = match[1] === "node" ? node.Spec.Labels : node.Description?.Engine?.Labels;
  return labels?.[match[2]!] ?? "";
}
