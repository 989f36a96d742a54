import { SECOND_NS } from "../../src/base/duration.ts";
import { relocate } from "../../src/core/orchestrator/relocate.ts";
import { planRebalance } from "../../src/core/scheduler/rebalance.ts";
import type { Node } from "../../src/model/node.ts";
import type { ServiceSpec, TaskSpec, UpdateConfig } from "../../src/model/service_spec.ts";
import { slotName } from "../../src/model/task.ts";
import type { Task } from "../../src/model/task.ts";
import { isTerminal } from "../../src/model/task_state.ts";
import type { Applied } from "../../src/model/view.ts";
import { EPOCH_MS, TestCluster } from "./test_cluster.ts";
import type { Work } from "./test_cluster.ts";

/**
 * A scenario is a text: lines that start with `> ` are commands, the lines right below one are the output
 * that is expected of it, up to an empty line or the next command. Lines that start with `#` are remarks.
 * The result is the same text with the output that the commands really had.
 */
export function play(text: string): string {
  const scenario = new Scenario();
  const out: string[] = [];
  let inOutput = false;
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("> ")) {
      out.push(line, ...scenario.run(line.slice(2).trim()));
      inOutput = true;
    } else if (line === "" || line.startsWith("#")) {
      out.push(line);
      inOutput = false;
    } else if (!inOutput) {
      throw new Error(`neither a command nor output nor a remark: "${line}"`);
    }
  }
  return out.join("\n") + "\n";
}

type Options = Map<string, string>;

class Scenario {
  readonly #cluster = new TestCluster();
  /** What becomes of tasks by image; others run. */
  readonly #work = new Map<string, Work>();
  #trace: string[] = [];

  constructor() {
    this.#cluster.store.onApply((changes) => {
      for (const change of changes) this.#note(change);
    });
  }

  run(command: string): string[] {
    const [verb = "", ...words] = command.split(/\s+/);
    const cluster = this.#cluster;
    const [name = ""] = words;
    const options = readOptions(words.slice(1));
    switch (verb) {
      case "nodes":
        for (let i = 1; i <= Number(name); i++) cluster.addNode(`n${i}`);
        return [];
      case "node":
        cluster.addNode(name, nodeOf(name, options));
        return [];
      case "remove-node":
        cluster.write((tx) => tx.remove("node", name));
        return [];
      case "node-state":
        cluster.setNodeState(name, words[1] as Node["Status"]["State"]);
        return [];
      case "availability":
        cluster.updateNode(name, (node) => ({
          ...node,
          Spec: { ...node.Spec, Availability: words[1] as "active" },
        }));
        return [];
      case "label":
        cluster.updateNode(name, (node) => ({
          ...node,
          Spec: { ...node.Spec, Labels: Object.fromEntries(options) },
        }));
        return [];
      case "service":
        cluster.addService(specOf({ Name: name }, options));
        return [];
      case "update":
        cluster.updateService(name, (spec) => specOf(spec, options));
        return [];
      case "rollback":
        cluster.rollBack(name);
        return [];
      case "remove":
        cluster.write((tx) => tx.remove("service", name));
        return [];
      case "image":
        this.#work.set(name, words[1] as Work);
        return [];
      case "history-limit":
        cluster.write((tx) =>
          tx.create("cluster", {
            ID: "cluster",
            Spec: { Name: "default", Orchestration: { TaskHistoryRetentionLimit: Number(name) } },
            RootCA: { CACert: "", JoinTokens: { Worker: "", Manager: "" } },
          })
        );
        return [];
      case "look":
        cluster.settle();
        return [];
      case "step":
        cluster.settle();
        for (const { ID } of cluster.tasks()) cluster.agentStep(ID, (task) => this.#outcome(task));
        cluster.settle();
        return [];
      case "run":
        this.#runAll();
        return [];
      case "wait":
        cluster.advance(Number(name.replace(/s$/, "")) * 1000, () => this.#runAll());
        return [];
      case "new-leader":
        cluster.changeLeader();
        return [];
      case "end":
        return this.#end(name, words[1] ?? "failed");
      case "relocate":
        this.#relocate(name, words[1]);
        return [];
      case "rebalance":
        return this.#rebalance(name);
      case "tasks":
        return this.#tasks(name);
      case "show":
        return this.#show(name);
      case "trace": {
        const trace = this.#trace;
        this.#trace = [];
        return trace;
      }
      default:
        throw new Error(`unknown command "${verb}"`);
    }
  }

  #outcome(task: Task): Work {
    return this.#work.get(task.Spec.ContainerSpec?.Image ?? "") ?? "runs";
  }

  #runAll(): void {
    this.#cluster.settleWithAgents((task) => this.#outcome(task));
  }

  /** The running task of `service.slot` ends as said. */
  #end(name: string, state: string): string[] {
    const task = this.#cluster.tasks().find((candidate) =>
      this.#slot(candidate) === name && candidate.Status.State === "running" &&
      candidate.DesiredState !== "shutdown"
    );
    if (!task) return [`no running task in ${name}`];
    const failed = state === "failed";
    this.#cluster.report(task.ID, {
      State: failed ? "failed" : "complete",
      Message: failed ? "started" : "finished",
      ...(failed ? { Err: "task: non-zero exit (1)" } : {}),
    });
    return [];
  }

  #relocate(name: string, to: string | undefined): void {
    const cluster = this.#cluster;
    const task = cluster.tasks().find((candidate) =>
      this.#slot(candidate) === name && candidate.Status.State === "running"
    );
    const moves = task ? [{ taskId: task.ID, ...(to ? { to } : {}) }] : [];
    cluster.commit(relocate(cluster.store, moves, { nowMs: cluster.nowMs }).changes);
  }

  #rebalance(name: string): string[] {
    const { store, nowMs } = this.#cluster;
    return planRebalance(store, { nowMs, ...(name ? { serviceId: name } : {}) }).map((move) =>
      `${move.name} from ${move.from} to ${move.to}: ${move.why}`
    );
  }

  #slot(task: Task): string {
    return slotName(task);
  }

  #tasks(serviceId: string): string[] {
    const rows = this.#cluster.tasks(serviceId).sort((a, b) =>
      (a.Slot ?? 0) - (b.Slot ?? 0) || (a.ID < b.ID ? -1 : 1)
    ).map((task) => [
      this.#slot(task),
      task.ID,
      task.Spec.ContainerSpec?.Image ?? "",
      task.NodeID ?? "-",
      task.DesiredState,
      task.Status.State,
      task.Status.Err ?? (isTerminal(task.Status.State) ? "" : task.Status.Message ?? ""),
    ]);
    return rows.length === 0 ? ["none"] : aligned(rows);
  }

  #show(id: string): string[] {
    const service = this.#cluster.store.get("service", id);
    if (!service) return ["gone"];
    const { State = "no update", Message = "" } = service.UpdateStatus ?? {};
    const tasks = this.#cluster.tasks(id);
    const running = tasks.filter(({ Status }) => Status.State === "running").length;
    const image = service.Spec.TaskTemplate?.ContainerSpec?.Image;
    return [`${id}: ${image}, ${running} running, ${State}${Message ? `: ${Message}` : ""}`];
  }

  #note({ op, table, object, previous }: Applied): void {
    const at = `${String((this.#cluster.nowMs - EPOCH_MS) / 1000)}s`.padStart(6);
    if (table === "service" && previous) {
      const service = object as Applied<"service">["object"];
      const before = (previous as Applied<"service">["object"]).UpdateStatus?.State;
      const state = service.UpdateStatus?.State;
      if (state && state !== before) {
        this.#trace.push(`${at}  ${service.ID} ${state}: ${service.UpdateStatus?.Message}`);
      }
    }
    if (table !== "task") return;
    const task = object as Task;
    const before = previous as Task | undefined;
    const who = `${at}  ${this.#slot(task)} ${task.ID}`;
    if (op === "create") this.#trace.push(`${who} created, desired ${task.DesiredState}`);
    if (op === "remove") this.#trace.push(`${who} forgotten`);
    if (op !== "update" || !before) return;
    if (before.DesiredState !== task.DesiredState) {
      this.#trace.push(`${who} desired ${task.DesiredState}`);
    }
    const [from, to] = [before.Status.State, task.Status.State];
    if (from === to) return;
    if (to === "assigned") this.#trace.push(`${who} on ${task.NodeID}`);
    if (to === "ready" && task.DesiredState === "ready") this.#trace.push(`${who} prepared`);
    if (to === "running" || isTerminal(to)) {
      this.#trace.push(`${who} ${to}${task.Status.Err ? ` (${task.Status.Err})` : ""}`);
    }
  }
}

function readOptions(words: readonly string[]): Options {
  return new Map(words.map((word) => {
    const at = word.indexOf("=");
    return at < 0 ? [word, ""] as const : [word.slice(0, at), word.slice(at + 1)] as const;
  }));
}

function nodeOf(name: string, options: Options): Partial<Node> {
  const labels = [...options].filter(([key]) => key.startsWith("label."))
    .map(([key, value]) => [key.slice("label.".length), value]);
  const gpus = options.get("gpu")?.split(",") ?? [];
  return {
    Spec: {
      Labels: Object.fromEntries(labels),
      Role: "worker",
      Availability: (options.get("availability") ?? "active") as "active",
    },
    Status: { State: "ready", Addr: options.get("addr") ?? "10.1.0.1" },
    Description: {
      Hostname: name,
      Platform: { OS: "linux", Architecture: options.get("arch") ?? "x86_64" },
      Resources: {
        NanoCPUs: Number(options.get("cpus") ?? 4) * 1e9,
        MemoryBytes: Number(options.get("memory") ?? 4096) * 1024 * 1024,
        GenericResources: gpus.map((gpu) =>
          /^\d+$/.test(gpu)
            ? { DiscreteResourceSpec: { Kind: "gpu", Value: Number(gpu) } }
            : { NamedResourceSpec: { Kind: "gpu", Value: gpu } }
        ),
      },
    },
  };
}

const seconds = (text: string) => Math.round(Number(text) * SECOND_NS);

/** `spec` with what the options name changed. */
function specOf(spec: ServiceSpec, options: Options): ServiceSpec {
  let next = spec.Mode ? spec : { ...spec, Mode: { Replicated: { Replicas: 1 } } };
  let template: TaskSpec = next.TaskTemplate ?? { ContainerSpec: { Image: "app:1" } };
  const restart = (more: object) => {
    template = { ...template, RestartPolicy: { ...template.RestartPolicy, ...more } };
  };
  const place = (more: object) => {
    template = { ...template, Placement: { ...template.Placement, ...more } };
  };
  const reserve = (more: object) => {
    const reservations = { ...template.Resources?.Reservations, ...more };
    template = { ...template, Resources: { Reservations: reservations } };
  };
  const pace = (more: UpdateConfig) => {
    next = {
      ...next,
      UpdateConfig: { ...next.UpdateConfig, ...more },
      RollbackConfig: {
        ...next.RollbackConfig,
        ...more,
        ...(more.FailureAction ? { FailureAction: "pause" } : {}),
      },
    };
  };
  for (const [key, value] of options) {
    const number = Number(value);
    switch (key) {
      case "mode":
        next = { ...next, Mode: { [value]: {} } };
        break;
      case "replicas":
        next = { ...next, Mode: { Replicated: { Replicas: number } } };
        break;
      case "completions":
      case "concurrent":
        next = {
          ...next,
          Mode: {
            ReplicatedJob: {
              ...next.Mode?.ReplicatedJob,
              [key === "completions" ? "TotalCompletions" : "MaxConcurrent"]: number,
            },
          },
        };
        break;
      case "image":
        template = { ...template, ContainerSpec: { ...template.ContainerSpec, Image: value } };
        break;
      case "service-label":
        next = { ...next, Labels: { ...next.Labels, label: value } };
        break;
      case "force":
        template = { ...template, ForceUpdate: (template.ForceUpdate ?? 0) + 1 };
        break;
      case "constraint":
        place({ Constraints: value ? value.split(",") : [] });
        break;
      case "spread":
        place({
          Preferences: value.split(",").map((SpreadDescriptor) => ({
            Spread: { SpreadDescriptor },
          })),
        });
        break;
      case "max-per-node":
        place({ MaxReplicas: number });
        break;
      case "platform":
        place({ Platforms: [{ OS: "linux", Architecture: value }] });
        break;
      case "cpus":
        reserve({ NanoCPUs: number * 1e9 });
        break;
      case "memory":
        reserve({ MemoryBytes: number * 1024 * 1024 });
        break;
      case "gpu":
        reserve({ GenericResources: [{ DiscreteResourceSpec: { Kind: "gpu", Value: number } }] });
        break;
      case "volume":
        template = {
          ...template,
          ContainerSpec: {
            ...template.ContainerSpec,
            Mounts: [{ Type: "volume", Source: value, Target: "/data" }],
          },
        };
        break;
      case "host-port":
        next = {
          ...next,
          EndpointSpec: {
            Ports: [{ TargetPort: 80, PublishedPort: number, PublishMode: "host" }],
          },
        };
        break;
      case "restart":
        restart({ Condition: value });
        break;
      case "restart-delay":
        restart({ Delay: seconds(value) });
        break;
      case "attempts":
        restart({ MaxAttempts: number });
        break;
      case "window":
        restart({ Window: seconds(value) });
        break;
      case "backoff":
        next = { ...next, Backoff: value !== "off" };
        break;
      case "parallelism":
        pace({ Parallelism: number });
        break;
      case "delay":
        pace({ Delay: seconds(value) });
        break;
      case "monitor":
        pace({ Monitor: seconds(value) });
        break;
      case "ratio":
        pace({ MaxFailureRatio: number });
        break;
      case "order":
        pace({ Order: value });
        break;
      case "action":
        pace({ FailureAction: value });
        break;
      default:
        throw new Error(`unknown option "${key}"`);
    }
  }
  return { ...next, TaskTemplate: template };
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
}
