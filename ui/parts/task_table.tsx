import type { TaskRow } from "../../src/api/ui/rows.ts";
import { ago, shortId, toneOf } from "../format.ts";
import { useNow } from "../hooks.ts";
import { store } from "../store.ts";
import { isOperator } from "../api.ts";
import { Dot, Empty, Table } from "./basics.tsx";

/** More rows than this help nobody; the rest is counted. */
const MAX_ROWS = 300;

export function nodeLabel(id: string): string {
  return id === "" ? "no node yet" : store.tables.node.get(id)?.name ?? shortId(id);
}

export function taskLabel(task: TaskRow): string {
  return task.slot > 0 ? `${task.serviceName}.${task.slot}` : task.serviceName || shortId(task.id);
}

/** Tasks with their reasons; the older ones of a slot are its history. */
export function TaskTable(
  { tasks, caption, withNode = true }: {
    tasks: readonly TaskRow[];
    caption: string;
    withNode?: boolean;
  },
) {
  const now = useNow(5_000);
  if (tasks.length === 0) return <Empty title="No tasks">Nothing runs here.</Empty>;
  const shown = tasks.slice(0, MAX_ROWS);
  const head = ["Task", ...(withNode ? ["Node"] : []), "State", "Wanted", "Since", "Reason", ""];
  return (
    <>
      <Table caption={caption} head={head}>
        {shown.map((task, i) => {
          const older = i > 0 && shown[i - 1]!.service === task.service && task.slot > 0 &&
            shown[i - 1]!.slot === task.slot;
          return (
            <tr key={task.id} class={older ? "older" : ""} data-task={task.id}>
              <td>
                <span title={task.id}>{older ? "↳ " : ""}{taskLabel(task)}</span>
              </td>
              {withNode && (
                <td>
                  {task.node ? <a href={`#/node/${task.node}`}>{nodeLabel(task.node)}</a> : "–"}
                </td>
              )}
              <td>
                <Dot tone={toneOf(task.state, task.desired)} label={task.state} />
              </td>
              <td>{task.desired}</td>
              <td class="number">{ago(task.since, now)}</td>
              <td class="reason">
                {task.error || (task.state === "pending" ? task.message : "")}
                {task.exit !== null && task.exit !== 0 &&
                  !task.error.includes(`(${task.exit})`) && ` (exit code ${task.exit})`}
              </td>
              <td class="actions">
                {task.container && <a href={`#/logs/task/${task.id}`}>logs</a>}
                {isOperator() && task.state === "running" && (
                  <a href={`#/terminal/${task.id}`}>terminal</a>
                )}
              </td>
            </tr>
          );
        })}
      </Table>
      {tasks.length > MAX_ROWS && <p class="soft">and {tasks.length - MAX_ROWS} more</p>}
    </>
  );
}
