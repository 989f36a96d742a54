import { useStore } from "../hooks.ts";
import { bytes, cpus } from "../format.ts";
import { Bar, Dot, Empty, Table } from "../parts/basics.tsx";
import type { NodeRow, TaskRow } from "../../src/api/ui/rows.ts";

/** What the tasks on a node have reserved of it. */
export function reserved(tasks: readonly TaskRow[]) {
  const there = tasks.filter((task) => task.desired === "running" || task.state === "running");
  return {
    cpus: there.reduce((sum, task) => sum + task.cpus, 0),
    memory: there.reduce((sum, task) => sum + task.memory, 0),
    running: there.filter((task) => task.state === "running").length,
  };
}

export function daysLeft(node: NodeRow): number | undefined {
  if (node.certificate === 0) return undefined;
  return Math.floor((node.certificate - Date.now()) / 86_400_000);
}

export function Nodes() {
  const store = useStore();
  const nodes = store.list("node");
  const members = new Map(store.cluster?.managers.map((m) => [m.node, m]));
  if (nodes.length === 0) return <Empty title="No nodes" />;
  return (
    <>
      <div class="page-head">
        <h1>Nodes</h1>
      </div>
      <Table
        caption="Nodes"
        head={[
          "Node",
          "State",
          "Availability",
          "Manager",
          "Tasks",
          "CPU reserved",
          "Memory reserved",
          "Engine",
        ]}
      >
        {nodes.map((node) => {
          const used = reserved(store.tasksByNode.get(node.id) ?? []);
          const member = members.get(node.id);
          return (
            <tr key={node.id}>
              <td>
                <a href={`#/node/${node.id}`}>{node.name}</a> <span class="soft">{node.addr}</span>
              </td>
              <td>
                <Dot tone={node.state === "ready" ? "ok" : "bad"} label={node.state} />
              </td>
              <td>{node.availability}</td>
              <td>
                {store.cluster?.leader === node.id
                  ? "leader"
                  : member
                  ? member.reachable ? "reachable" : "unreachable"
                  : ""}
              </td>
              <td class="number">{used.running}</td>
              <td>
                <Bar
                  value={used.cpus}
                  of={node.cpus}
                  label={`${cpus(used.cpus)} of ${cpus(node.cpus)}`}
                />
              </td>
              <td>
                <Bar
                  value={used.memory}
                  of={node.memory}
                  label={`${bytes(used.memory)} of ${bytes(node.memory)}`}
                />
              </td>
              <td>{node.engine}</td>
            </tr>
          );
        })}
      </Table>
    </>
  );
}
