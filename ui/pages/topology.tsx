import { memo } from "preact/compat";
import { useMemo, useState } from "preact/hooks";
import type { NodeRow, TaskRow } from "../../src/api/ui/rows.ts";
import { hueOf, toneOf } from "../format.ts";
import { useStore } from "../hooks.ts";
import { Dot, Empty } from "../parts/basics.tsx";
import { nodeLabel, taskLabel } from "../parts/task_table.tsx";
import type { Store } from "../store.ts";

/** With more tasks than this the boxes are small and without text. */
const MANY_TASKS = 400;
/** Sentences shown at once. */
const MAX_REASONS = 20;
/** A failure that was dealt with so long ago is history. */
const RECENT_MS = 10 * 60_000;

const NOWHERE: NodeRow = {
  id: "",
  v: 0,
  name: "no node yet",
  addr: "",
  role: "worker",
  availability: "active",
  state: "",
  message: "",
  labels: {},
  cpus: 0,
  memory: 0,
  os: "",
  engine: "",
  engineLabels: {},
  certificate: 0,
  overlayProblem: "",
  mesh: "",
  problems: [],
  created: 0,
};

/** A task that is there, comes, or failed and was not replaced yet. */
function isShown(task: TaskRow): boolean {
  if (task.desired === "running" || task.desired === "ready" || task.desired === "complete") {
    return true;
  }
  return ["starting", "running", "preparing"].includes(task.state);
}

interface Filter {
  readonly text: string;
  readonly tasks: (task: TaskRow) => boolean;
  readonly nodes: (node: NodeRow) => boolean;
}

/**
 * `web` in a name of service or node, `stack:shop`, `node:h1`, `service:web`, `state:failed`,
 * `label:zone=a` (of nodes and services).
 */
function makeFilter(text: string, store: Store): Filter {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (value: string, part: string) => value.toLowerCase().includes(part);
  const hasLabel = (labels: Readonly<Record<string, string>>, part: string) =>
    Object.entries(labels).some(([key, value]) => has(`${key}=${value}`, part));
  const ofTask = (task: TaskRow, word: string): boolean => {
    const [, key, value] = /^(\w+):(.*)$/.exec(word) ?? [];
    const service = store.tables.service.get(task.service);
    const node = store.tables.node.get(task.node);
    if (key === "service") return has(task.serviceName, value!);
    if (key === "stack") return has(service?.stack ?? "", value!);
    if (key === "node") return has(node?.name ?? "", value!);
    if (key === "state") return has(task.state, value!);
    if (key === "label") {
      return hasLabel(service?.labels ?? {}, value!) || hasLabel(node?.labels ?? {}, value!);
    }
    return has(task.serviceName, word) || has(node?.name ?? "", word);
  };
  const ofNode = (node: NodeRow): boolean =>
    words.every((word) => !word.startsWith("node:") || has(node.name, word.slice(5)));
  return {
    text,
    tasks: (task) => words.every((word) => ofTask(task, word)),
    nodes: ofNode,
  };
}

const TaskBox = memo(function TaskBox({ task, small }: { task: TaskRow; small: boolean }) {
  const label = taskLabel(task);
  const reason = task.error || (task.state === "pending" ? task.message : "");
  const title = `${label}: ${task.state}${reason ? ` – ${reason}` : ""}`;
  return (
    <a
      class={`box tone-${toneOf(task.state, task.desired)}${small ? " small" : ""}`}
      href={`#/service/${task.service}`}
      style={{ "--hue": String(hueOf(task.serviceName)) }}
      title={title}
      // A box without text needs no layout when its state changes: with thousands that is most of the work.
      aria-label={small ? title : undefined}
      data-state={task.state}
    >
      {!small && (
        <>
          <span class="box-name">{label}</span>
          <span class={task.state === "running" ? "hidden-text" : "box-state"}>{task.state}</span>
        </>
      )}
    </a>
  );
});

interface ColumnProps {
  readonly node: NodeRow;
  readonly tasks: readonly TaskRow[];
  readonly small: boolean;
  readonly filter: Filter;
  readonly leader: boolean;
  readonly reachable: boolean | undefined;
  /** Its connection ended a moment ago. */
  readonly silent: boolean;
}

const Column = memo(function Column(props: ColumnProps) {
  const { node, tasks, small, filter, leader, reachable, silent } = props;
  const shown = useMemo(() => tasks.filter((t) => isShown(t) && filter.tasks(t)), [tasks, filter]);
  const up = node.id === "" || (node.state === "ready" && !silent);
  const tone = !up ? "bad" : node.availability !== "active" ? "busy" : "ok";
  return (
    <section
      class={`column${up ? "" : " down"}`}
      aria-label={`Node ${node.name}`}
      data-node={node.name}
    >
      <header>
        {node.id === "" ? <h2>{node.name}</h2> : (
          <h2>
            <a href={`#/node/${node.id}`}>{node.name}</a>
          </h2>
        )}
        {node.id !== "" && (
          <p>
            <Dot
              tone={tone}
              label={up ? node.availability : silent ? "not connected" : node.state}
            />
            {leader && <span class="chip strong">leader</span>}
            {!leader && reachable !== undefined && (
              <span class={`chip${reachable ? "" : " bad"}`}>
                {reachable ? "manager" : "manager unreachable"}
              </span>
            )}
          </p>
        )}
      </header>
      <div class={small ? "boxes small" : "boxes"}>
        {shown.map((task) => <TaskBox key={task.id} task={task} small={small} />)}
        {shown.length === 0 && <span class="soft">no tasks</span>}
      </div>
    </section>
  );
});

interface Reason {
  readonly service: string;
  readonly serviceName: string;
  readonly sentence: string;
  readonly tone: string;
  readonly state: string;
  count: number;
}

/** Why tasks wait or failed, each sentence once per service. */
function reasons(store: Store, filter: Filter, now: number): readonly Reason[] {
  const found = new Map<string, Reason>();
  for (const task of store.tables.task.values()) {
    const tone = toneOf(task.state, task.desired);
    const waits = task.state === "pending" && task.desired === "running";
    const failed = tone === "bad" && now - task.since < RECENT_MS;
    if (!(waits || failed) || !filter.tasks(task)) continue;
    const sentence = task.error || task.message || `${task.state} on ${nodeLabel(task.node)}`;
    const key = `${task.service} ${task.state} ${sentence}`;
    const known = found.get(key);
    if (known) known.count++;
    else {
      const { service, serviceName, state } = task;
      found.set(key, { service, serviceName, sentence, tone, state, count: 1 });
    }
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}

export function Topology() {
  const store = useStore();
  const [text, setText] = useState("");
  const filter = useMemo(() => makeFilter(text, store), [text]);
  const nodes = store.list("node").filter(filter.nodes);
  const small = store.tables.task.size > MANY_TASKS;
  const why = reasons(store, filter, Date.now());
  const members = new Map(store.cluster?.managers.map((m) => [m.node, m.reachable]));
  const homeless = store.tasksByNode.get("") ?? [];
  return (
    <>
      <div class="page-head">
        <h1>Topology</h1>
        <label class="search">
          <span class="hidden-text">Filter</span>
          <input
            type="search"
            value={text}
            placeholder="Filter: web, stack:shop, node:h1, state:failed, label:zone=a"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      </div>
      {why.length > 0 && (
        <section class="reasons" aria-label="What needs attention">
          <h2>Needs attention</h2>
          <ul>
            {why.slice(0, MAX_REASONS).map((reason) => (
              <li key={`${reason.service} ${reason.sentence}`}>
                <Dot tone={reason.tone} label={reason.state} />
                <a href={`#/service/${reason.service}`}>{reason.serviceName}</a>
                {reason.count > 1 && <span class="chip">{reason.count} tasks</span>}
                <span class="reason">{reason.sentence}</span>
              </li>
            ))}
          </ul>
          {why.length > MAX_REASONS && <p class="soft">and {why.length - MAX_REASONS} more</p>}
        </section>
      )}
      {nodes.length === 0
        ? (
          <Empty title={text ? "No node matches" : "No nodes yet"}>
            Change the filter to see more.
          </Empty>
        )
        : (
          <div class="columns">
            {homeless.some(isShown) && (
              <Column
                node={NOWHERE}
                tasks={homeless}
                small={small}
                filter={filter}
                leader={false}
                reachable={undefined}
                silent={false}
              />
            )}
            {nodes.map((node) => (
              <Column
                key={node.id}
                node={node}
                tasks={store.tasksByNode.get(node.id) ?? NO_TASKS}
                small={small}
                filter={filter}
                leader={store.cluster?.leader === node.id}
                reachable={members.get(node.id)}
                silent={store.cluster?.silent.includes(node.id) ?? false}
              />
            ))}
          </div>
        )}
    </>
  );
}

const NO_TASKS: readonly TaskRow[] = [];
