import { useEffect, useState } from "preact/hooks";
import { getJson, isOperator, send } from "../api.ts";
import { ago, bytes, cpus } from "../format.ts";
import { useLoaded, useStore } from "../hooks.ts";
import { Bar, Dialog, Dot, Empty, Facts, Labels } from "../parts/basics.tsx";
import { TaskTable } from "../parts/task_table.tsx";
import { daysLeft, reserved } from "./nodes.tsx";

interface FullNode {
  readonly Version: { readonly Index: number };
  readonly Spec: Readonly<Record<string, unknown>>;
}

/** What the tasks of a node really use, as the engine measures it. */
interface Usage {
  readonly tasks: number;
  readonly asked: number;
  readonly cpus: number;
  readonly memory: number;
}
const USAGE_PERIOD_MS = 5_000;

export function Node({ id }: { id: string }) {
  const store = useStore();
  const node = store.tables.node.get(id);
  const [availability, setAvailability] = useState<string>();
  const usage = useUsage(id);
  // Only the agent that serves this page is asked for it; others tell it to Prometheus.
  const info = useLoaded(
    id,
    (signal) =>
      getJson<{ NodeID: string; Networks?: { Drift: number } }>("/api/fleet/info", signal),
  );
  const drift = info.kind === "there" && info.value.NodeID === id
    ? info.value.Networks?.Drift
    : undefined;
  if (!node) {
    return (
      <Empty title="No such node">
        It may have been removed. <a href="#/nodes">All nodes</a>
      </Empty>
    );
  }
  const tasks = store.tasksByNode.get(id) ?? [];
  const used = reserved(tasks);
  const days = daysLeft(node);
  const member = store.cluster?.managers.find((manager) => manager.node === id);
  return (
    <>
      <div class="page-head">
        <h1>{node.name}</h1>
        {isOperator() && (
          <div class="buttons">
            {node.availability !== "drain" && (
              <button
                type="button"
                onClick={() => setAvailability("drain")}
              >
                Drain…
              </button>
            )}
            {node.availability !== "active" && (
              <button
                type="button"
                class="primary"
                onClick={() => setAvailability("active")}
              >
                Activate…
              </button>
            )}
          </div>
        )}
      </div>
      <div class="cards">
        <section class="card">
          <h2>Resources</h2>
          <h3>Reserved by tasks</h3>
          <Bar
            value={used.cpus}
            of={node.cpus}
            label={`${cpus(used.cpus)} of ${cpus(node.cpus)}`}
          />
          <Bar
            value={used.memory}
            of={node.memory}
            label={`${bytes(used.memory)} of ${bytes(node.memory)}`}
          />
          <h3>Used by tasks</h3>
          {usage
            ? (
              <>
                <Bar
                  value={usage.cpus}
                  of={node.cpus}
                  label={`${cpus(usage.cpus)} of ${cpus(node.cpus)}`}
                />
                <Bar
                  value={usage.memory}
                  of={node.memory}
                  label={`${bytes(usage.memory)} of ${bytes(node.memory)}`}
                />
                {usage.asked < usage.tasks && (
                  <p class="soft">of {usage.asked} of its {usage.tasks} tasks</p>
                )}
              </>
            )
            : <p class="soft">being measured…</p>}
        </section>
        <section class="card">
          <h2>Facts</h2>
          <Facts
            rows={{
              "State": (
                <Dot
                  tone={node.state === "ready" ? "ok" : "bad"}
                  label={`${node.state}${node.message ? `: ${node.message}` : ""}`}
                />
              ),
              "Availability": node.availability,
              "Role": member
                ? `manager, ${
                  store.cluster?.leader === id
                    ? "the leader"
                    : member.reachable
                    ? "reachable"
                    : "unreachable"
                }`
                : node.role,
              "Address": <code>{node.addr}</code>,
              "Platform": node.os,
              "Docker Engine": node.engine,
              "Overlay networks":
                [node.overlayProblem, ...node.problems].filter(Boolean).join("; ") ||
                "ready",
              "Routing mesh": node.mesh || "none yet",
              ...(drift === undefined ? {} : {
                "Drift": `${drift} differences in the kernel found and repaired`,
              }),
              "Certificate": days === undefined
                ? "not known"
                : days < 0
                ? "expired"
                : `${days} days left`,
              "Labels": <Labels of={node.labels} />,
              "Engine's labels": <Labels of={node.engineLabels} />,
              "Joined": `${ago(node.created)} ago`,
            }}
          />
        </section>
      </div>
      <section class="card">
        <h2>Tasks</h2>
        <TaskTable tasks={tasks} caption={`Tasks on ${node.name}`} withNode={false} />
      </section>
      {availability && (
        <Dialog
          title={availability === "drain" ? `Drain ${node.name}` : `Activate ${node.name}`}
          confirm={availability === "drain" ? "Drain" : "Activate"}
          danger={availability === "drain"}
          onClose={() => setAvailability(undefined)}
          onConfirm={async () => {
            const full = await getJson<FullNode>(`/api/nodes/${id}`);
            await send("POST", `/api/nodes/${id}/update?version=${full.Version.Index}`, {
              ...full.Spec,
              Availability: availability,
            });
          }}
        >
          <p class="plan">
            {availability === "drain"
              ? `${used.running} tasks will be stopped here and started on other nodes, as far as those fit; global services lose their task here.`
              : "New tasks may be placed here again; what runs elsewhere stays there."}
          </p>
        </Dialog>
      )}
    </>
  );
}

function useUsage(id: string): Usage | undefined {
  const [usage, setUsage] = useState<Usage>();
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const look = () =>
      getJson<Usage>(`/live/usage/${id}`, controller.signal)
        .then(setUsage, () => {})
        .finally(() => {
          if (!controller.signal.aborted) timer = setTimeout(look, USAGE_PERIOD_MS);
        });
    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [id]);
  return usage;
}
