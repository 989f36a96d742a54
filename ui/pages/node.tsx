import { useEffect, useState } from "preact/hooks";
import { getJson, isOperator, send } from "../api.ts";
import { ago, bytes, cpus } from "../format.ts";
import type { Loaded } from "../hooks.ts";
import { useStore } from "../hooks.ts";
import type { NodeRow } from "../../src/api/ui/rows.ts";
import { Bar, Dialog, Dot, Empty, Facts, Labels } from "../parts/basics.tsx";
import { TaskTable } from "../parts/task_table.tsx";
import { daysLeft, reserved } from "./nodes.tsx";

interface FullNode {
  readonly Version: { readonly Index: number };
  readonly Spec: Readonly<Record<string, unknown>>;
}

/** What a node says of itself when it is asked. */
interface Health {
  readonly Version: string;
  readonly KernelVersion: string;
  readonly Engine: {
    readonly OperatingSystem?: string;
    readonly StorageDriver?: string;
    readonly Cgroups?: string;
    readonly Problem: string;
  };
  readonly Disks: readonly {
    readonly path: string;
    readonly free: number;
    readonly total: number;
  }[];
  readonly Networks?: { readonly Drift: number; readonly Audits: number };
}
const HEALTH_PERIOD_MS = 10_000;

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
  const usage = usePolled<Usage>(`/live/usage/${id}`, USAGE_PERIOD_MS);
  const health = usePolled<Health>(`/api/fleet/nodes/${id}/health`, HEALTH_PERIOD_MS);
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
          {usage.kind === "there"
            ? (
              <>
                <Bar
                  value={usage.value.cpus}
                  of={node.cpus}
                  label={`${cpus(usage.value.cpus)} of ${cpus(node.cpus)}`}
                />
                <Bar
                  value={usage.value.memory}
                  of={node.memory}
                  label={`${bytes(usage.value.memory)} of ${bytes(node.memory)}`}
                />
                {usage.value.asked < usage.value.tasks && (
                  <p class="soft">of {usage.value.asked} of its {usage.value.tasks} tasks</p>
                )}
              </>
            )
            : (
              <p class="soft">
                {usage.kind === "failed" ? "the node does not answer" : "being measured…"}
              </p>
            )}
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
              ...machineFacts(node, health),
              "Overlay networks":
                [node.overlayProblem, ...node.problems].filter(Boolean).join("; ") ||
                "ready",
              "Routing mesh": node.mesh || "none yet",
              "Drift": driftOf(health),
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

/** What the node itself has to be asked for; until it has answered, a dash, so that nothing moves. */
function machineFacts(node: NodeRow, health: Loaded<Health>) {
  const said = health.kind === "there" ? health.value : undefined;
  const [disk] = said?.Disks ?? [];
  const or = (text: string | undefined) =>
    text || (health.kind === "failed" ? "the node does not answer" : "–");
  const engine = [
    said?.Engine.StorageDriver,
    said?.Engine.Cgroups,
  ];
  return {
    "Platform": [node.os, said?.Engine.OperatingSystem].filter(Boolean).join(", "),
    "Kernel": or(said?.KernelVersion),
    "Docker Engine": said?.Engine.Problem ||
      [node.engine, ...engine].filter(Boolean).join(", "),
    "fleet": or(said?.Version),
    "Disk": or(disk && `${bytes(disk.free)} of ${bytes(disk.total)} free`),
  };
}

function driftOf(health: Loaded<Health>): string {
  if (health.kind === "failed") return "the node does not answer";
  if (health.kind === "loading") return "–";
  const { Drift = 0, Audits = 0 } = health.value.Networks ?? {};
  return `${Drift} differences in the kernel found and repaired in ${Audits} looks`;
}

/** What is at `path`, asked for again and again while the page is open. */
function usePolled<T>(path: string, periodMs: number): Loaded<T> {
  const [state, setState] = useState<Loaded<T>>({ kind: "loading" });
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const look = () =>
      getJson<T>(path, controller.signal)
        .then(
          (value) => setState({ kind: "there", value }),
          (error) =>
            controller.signal.aborted ||
            setState({ kind: "failed", message: String(error.message) }),
        )
        .finally(() => {
          if (!controller.signal.aborted) timer = setTimeout(look, periodMs);
        });
    setState({ kind: "loading" });
    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [path]);
  return state;
}
