import { useState } from "preact/hooks";
import { getJson, isOperator, send } from "../api.ts";
import { ago, bytes, cpus, shortId } from "../format.ts";
import { useLoaded, useStore } from "../hooks.ts";
import { Bar, Dialog, Empty, Facts, Labels, WhenLoaded } from "../parts/basics.tsx";
import { ReplicaChart } from "../parts/chart.tsx";
import type { Point } from "../parts/chart.tsx";
import { TaskTable } from "../parts/task_table.tsx";
import { store } from "../store.ts";
import { counts, isHostPort, UpdateWord } from "./services.tsx";
import type { ServiceRow } from "../../src/api/ui/rows.ts";

/** The part of Docker's service that this page reads and changes. */
interface FullService {
  readonly Version: { readonly Index: number };
  readonly Spec: Spec;
  readonly PreviousSpec?: Spec;
}
interface Spec {
  readonly Mode?: { readonly Replicated?: { readonly Replicas?: number } };
  readonly TaskTemplate?: {
    readonly ForceUpdate?: number;
    readonly ContainerSpec?: {
      readonly Image?: string;
      readonly Env?: readonly string[];
      readonly Args?: readonly string[];
      readonly Command?: readonly string[];
      readonly Mounts?: readonly {
        readonly Type?: string;
        readonly Source?: string;
        readonly Target?: string;
        readonly ReadOnly?: boolean;
      }[];
    };
    readonly Placement?: { readonly Constraints?: readonly string[] };
  };
  readonly [more: string]: unknown;
}

type Action = "scale" | "restart" | "rollback" | undefined;

export function Service({ id }: { id: string }) {
  const live = useStore();
  const service = live.tables.service.get(id);
  const [action, setAction] = useState<Action>();
  const full = useLoaded(
    `${id} ${service?.v}`,
    (signal) => getJson<FullService>(`/api/services/${id}`, signal),
  );
  const tasks = live.tasksByService.get(id) ?? [];
  const points = useHistory(id);
  if (!service) {
    return (
      <Empty title="No such service">
        It may have been removed. <a href="#/services">All services</a>
      </Empty>
    );
  }
  const { running, wanted } = counts(service, tasks);
  const ready = live.list("node").filter(({ state }) => state === "ready");
  return (
    <>
      <div class="page-head">
        <h1>{service.name}</h1>
        {isOperator() && (
          <div class="buttons">
            {service.mode === "replicated" && (
              <button
                type="button"
                onClick={() => setAction("scale")}
              >
                Scale…
              </button>
            )}
            <button type="button" onClick={() => setAction("restart")}>Restart…</button>
            <button
              type="button"
              disabled={!service.canRollBack}
              onClick={() => setAction("rollback")}
            >
              Roll back…
            </button>
          </div>
        )}
      </div>
      <div class="cards">
        <section class="card">
          <h2>Replicas</h2>
          <Bar
            value={running}
            of={wanted}
            label={`${running} of ${wanted} running`}
            tone={running === wanted ? "ok" : "busy"}
          />
          <ReplicaChart
            points={points ?? []}
            loading={points === undefined}
            label={`Tasks of ${service.name} over time: ${running} run, ${wanted} are wanted`}
          />
          <UpdateProgress service={service} />
        </section>
        <section class="card">
          <h2>Spec</h2>
          <Facts
            rows={{
              "Image": <code>{service.image}</code>,
              "Mode": service.mode,
              "Reserved": service.cpus + service.memory === 0
                ? "nothing"
                : `${cpus(service.cpus)}, ${bytes(service.memory)} for each task`,
              "Networks": names("network", service.networks),
              "Secrets": names("secret", service.secrets),
              "Configs": names("config", service.configs),
              "Labels": <Labels of={service.labels} />,
              "Changed": `${ago(service.updated)} ago (version ${service.v})`,
            }}
          />
        </section>
      </div>
      <section class="card">
        <h2>Tasks</h2>
        <p>
          <a href={`#/logs/service/${id}`}>Logs of all of them</a>
        </p>
        <TaskTable tasks={tasks} caption={`Tasks of ${service.name}, newest first in each slot`} />
      </section>
      <div class="cards">
        <section class="card">
          <h2>Published ports</h2>
          {service.ports.length === 0
            ? <p class="soft">none</p>
            : service.ports.map((port) => (
              <div key={port}>
                <p>
                  <code>{port}</code>
                </p>
                <p class="soft">
                  {isHostPort(port) ? "answered where a task runs: " : "answered by: "}
                  {(isHostPort(port)
                    ? ready.filter((node) =>
                      tasks.some((task) => task.node === node.id && task.state === "running")
                    )
                    : ready).map((node) => `${node.name} (${node.addr})`).join(", ") || "no node"}
                </p>
              </div>
            ))}
        </section>
        <section class="card">
          <h2>Environment and mounts</h2>
          <WhenLoaded of={full} rows={3}>
            {({ Spec }) => <Container spec={Spec} />}
          </WhenLoaded>
        </section>
      </div>
      {action && full.kind === "there" && (
        <ChangeDialog
          action={action}
          service={service}
          full={full.value}
          running={running}
          onClose={() => setAction(undefined)}
        />
      )}
    </>
  );
}

/** What there was before this page opened, and what has come since. */
function useHistory(id: string): readonly Point[] | undefined {
  const service = store.tables.service.get(id);
  const tasks = store.tasksByService.get(id) ?? [];
  const running = tasks.filter(({ state }) => state === "running").length;
  const loaded = useLoaded(
    `${id} ${running} ${service?.replicas}`,
    (signal) => getJson<Point[]>(`/live/history/${id}`, signal),
  );
  if (loaded.kind === "loading") return undefined;
  const points = loaded.kind === "there" ? loaded.value : [];
  const last = points.at(-1);
  if (!last) return points;
  // The line goes on until now.
  return [...points, [Date.now() / 1000, last[1], last[2]]];
}

function names(table: "network" | "secret" | "config", ids: readonly string[]): string {
  return ids.map((id) => store.tables[table].get(id)?.name ?? shortId(id)).join(", ");
}

function UpdateProgress({ service }: { service: ServiceRow }) {
  if (service.update === "") return null;
  const tasks = store.tasksByService.get(service.id) ?? [];
  const current = tasks.filter((task) => task.desired === "running" || task.desired === "ready");
  const updated = current.filter((task) => task.spec === service.spec && task.state === "running");
  const { wanted } = counts(service, tasks);
  return (
    <div class="update">
      <h3>
        Update <UpdateWord state={service.update} />
      </h3>
      <Bar
        value={updated.length}
        of={wanted}
        label={`${updated.length} of ${wanted} tasks have the newest spec`}
        tone={service.update.endsWith("paused") ? "bad" : "ok"}
      />
      {service.updateMessage && <p class="soft">{service.updateMessage}</p>}
    </div>
  );
}

function Container({ spec }: { spec: Spec }) {
  const container = spec.TaskTemplate?.ContainerSpec;
  const mounts = container?.Mounts ?? [];
  return (
    <Facts
      rows={{
        "Command": <code>{[...container?.Command ?? [], ...container?.Args ?? []].join(" ")}</code>,
        "Environment": (container?.Env ?? []).length > 0
          ? (
            <ul class="plain">
              {container!.Env!.map((line) => (
                <li key={line}>
                  <code>{line}</code>
                </li>
              ))}
            </ul>
          )
          : "",
        "Mounts": mounts.length > 0
          ? (
            <ul class="plain">
              {mounts.map((mount) => (
                <li key={mount.Target}>
                  <code>{mount.Source ?? mount.Type} → {mount.Target}</code>
                  {mount.ReadOnly ? " (read-only)" : ""}
                </li>
              ))}
            </ul>
          )
          : "",
        "Constraints": (spec.TaskTemplate?.Placement?.Constraints ?? []).join(", "),
      }}
    />
  );
}

interface ChangeProps {
  readonly action: Exclude<Action, undefined>;
  readonly service: ServiceRow;
  readonly full: FullService;
  readonly running: number;
  readonly onClose: () => void;
}

function ChangeDialog({ action, service, full, running, onClose }: ChangeProps) {
  const [replicas, setReplicas] = useState(service.replicas);
  const { name } = service;
  const update = (spec: Spec, more = "") =>
    send<void>(
      "POST",
      `/api/services/${service.id}/update?version=${full.Version.Index}${more}`,
      spec,
    );
  if (action === "scale") {
    const difference = replicas - service.replicas;
    return (
      <Dialog
        title={`Scale ${name}`}
        confirm={`Scale to ${replicas}`}
        onClose={onClose}
        onConfirm={() => update({ ...full.Spec, Mode: { Replicated: { Replicas: replicas } } })}
      >
        <label class="field">
          Replicas
          <input
            type="number"
            min={0}
            max={10_000}
            value={replicas}
            onInput={(event) =>
              setReplicas(Math.max(0, Math.trunc(Number(event.currentTarget.value))))}
          />
        </label>
        <p class="plan">
          {difference === 0
            ? "Nothing changes."
            : difference > 0
            ? `${difference} more ${noun(difference)} will start; ${running} run now.`
            : `${-difference} ${noun(difference)} will be stopped and removed; ${running} run now.`}
        </p>
      </Dialog>
    );
  }
  if (action === "restart") {
    const template = full.Spec.TaskTemplate ?? {};
    return (
      <Dialog
        title={`Restart ${name}`}
        confirm="Restart"
        onClose={onClose}
        onConfirm={() =>
          update({
            ...full.Spec,
            TaskTemplate: { ...template, ForceUpdate: (template.ForceUpdate ?? 0) + 1 },
          })}
      >
        <p class="plan">
          All {running} {noun(running)}{" "}
          will be replaced by new ones of the same spec, as the service's update settings say:{" "}
          {updateSettings(full.Spec)}.
        </p>
      </Dialog>
    );
  }
  const before = full.PreviousSpec;
  return (
    <Dialog
      title={`Roll ${name} back`}
      confirm="Roll back"
      danger
      onClose={onClose}
      onConfirm={() => update(full.Spec, "&rollback=previous")}
    >
      <div class="plan">
        <p>The spec goes back to what it was before the last change:</p>
        <SpecDifference from={full.Spec} to={before ?? {}} />
      </div>
    </Dialog>
  );
}

function noun(n: number): string {
  return Math.abs(n) === 1 ? "task" : "tasks";
}

function updateSettings(spec: Spec): string {
  const config = spec["UpdateConfig"] as
    | { Parallelism?: number; Order?: string; FailureAction?: string }
    | undefined;
  const at = config?.Parallelism ?? 1;
  return `${at === 0 ? "all" : at} at a time, ${config?.Order ?? "stop-first"}, on failure ${
    config?.FailureAction ?? "pause"
  }`;
}

/** The leaves in which two specs differ, as lines. */
export function SpecDifference({ from, to }: { from: unknown; to: unknown }) {
  const lines = [...differences(from, to, "")].slice(0, 40);
  if (lines.length === 0) return <p>The two are the same.</p>;
  return (
    <ul class="plain diff">
      {lines.map(({ path, before, after }) => (
        <li key={path}>
          <code>{path}</code>: {before !== undefined && <del>{before}</del>}{" "}
          {after !== undefined && <ins>{after}</ins>}
        </li>
      ))}
    </ul>
  );
}

function* differences(
  a: unknown,
  b: unknown,
  path: string,
): Iterable<{ path: string; before?: string; after?: string }> {
  const isObject = (x: unknown): x is Record<string, unknown> =>
    typeof x === "object" && x !== null && !Array.isArray(x);
  if (isObject(a) || isObject(b)) {
    const left = isObject(a) ? a : {};
    const right = isObject(b) ? b : {};
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      yield* differences(left[key], right[key], path ? `${path}.${key}` : key);
    }
    return;
  }
  const [before, after] = [JSON.stringify(a), JSON.stringify(b)];
  if (before !== after) {
    yield {
      path,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    };
  }
}
