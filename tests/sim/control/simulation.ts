import { FleetError, messageOf } from "../../../src/base/errors.ts";
import { randomInt, SeededRandom } from "../../../src/base/random.ts";
import { initialClusterSpec } from "../../../src/core/control/cluster.ts";
import { CLUSTER_DEFAULTS } from "../../../src/model/cluster.ts";
import { isTerminal } from "../../../src/model/task_state.ts";
import { deviations, OrchestrationChecker } from "../../support/orchestration_checker.ts";
import { AsyncTime } from "./async_time.ts";
import { Managers } from "./managers.ts";
import { SimNode } from "./node.ts";
import type { Weather } from "./node.ts";
import type { ControlFault, ControlOptions } from "./options.ts";
import { change, drawService, heal } from "./workload.ts";

/** Once faults stop, what is and what is wanted must be the same within this (the longest back-off is 5 min). */
export const HEAL_WITHIN_MS = 20 * 60_000;
const LOOK_EVERY_MS = 1_000;
/** A change is tried again while nobody leads. */
const MAX_ATTEMPTS = 50;
const MAX_DEVIATIONS_TOLD = 5;
/** Machines that stay dead when the storm is over. */
const MAX_DEAD = 3;
/** What waits longer than this waits for ever. */
const LONGEST_WAIT_MS = 120_000;

export interface ControlResult {
  readonly failure: string | undefined;
  readonly healMs: number;
  readonly virtualMs: number;
  readonly entries: number;
  readonly elections: number;
  readonly tasks: number;
  readonly faults: ReadonlyMap<ControlFault, number>;
  /** Of the log: equal seeds give equal ones. */
  readonly digest: number;
}

/** Plays one seed: a storm of faults and changes, then calm, then everything must be as wanted. */
export async function simulateControl(options: ControlOptions): Promise<ControlResult> {
  return await new Run(options).play();
}

class Run {
  readonly #options: ControlOptions;
  readonly #random: SeededRandom;
  readonly #time = new AsyncTime();
  readonly #managers: Managers;
  readonly #nodes: SimNode[];
  readonly #weather: Weather = { calm: false };
  readonly #counts = new Map<ControlFault, number>();
  /** Machines that never come back. */
  readonly #dead = new Set<string>();
  #failure: string | undefined;
  #storm = false;
  #digest = 0;
  #tasks = 0;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.#managers = new Managers(this.#time, this.#random, options.managers);
    new OrchestrationChecker(this.#managers.truth);
    this.#managers.truth.onApply((changes) => {
      for (const { op, table, object } of changes) {
        if (op === "create" && table === "task") this.#tasks++;
        for (const char of object.ID + op) {
          this.#digest = (this.#digest * 31 + char.charCodeAt(0)) | 0;
        }
      }
    });
    this.#nodes = Array.from(
      { length: options.nodes },
      (_, i) =>
        new SimNode(`n${String(i + 1).padStart(3, "0")}`, {
          clock: this.#time,
          random: new SeededRandom(this.#random.uint32()),
          managers: this.#managers,
          weather: this.#weather,
        }),
    );
  }

  async play(): Promise<ControlResult> {
    let healMs = 0;
    try {
      await this.#found();
      await this.#weatherTheStorm();
      healMs = await this.#untilAsWanted();
    } catch (error) {
      this.#failure ??= error instanceof FleetError || !(error instanceof Error)
        ? messageOf(error)
        : `${error.message}`;
    } finally {
      await this.#end();
    }
    return {
      failure: this.#failure ?? this.#managers.failure,
      healMs,
      virtualMs: this.#time.monotonic(),
      entries: this.#managers.entries,
      elections: this.#managers.elections,
      tasks: this.#tasks,
      faults: this.#counts,
      digest: this.#digest,
    };
  }

  async #found(): Promise<void> {
    const { nodes, services } = this.#options;
    this.#managers.start();
    const founding = this.#managers.write((tx) => {
      tx.create("cluster", {
        ID: "cluster",
        Spec: initialClusterSpec(undefined),
        RootCA: { CACert: "", JoinTokens: { Worker: "", Manager: "" } },
        DefaultAddrPool: [...CLUSTER_DEFAULTS.addrPool],
        SubnetSize: CLUSTER_DEFAULTS.subnetSize,
      });
      for (const [i, { id }] of this.#nodes.entries()) {
        tx.create("node", {
          ID: id,
          Spec: { Labels: { zone: i % 2 ? "a" : "b" }, Role: "worker", Availability: "active" },
          Status: { State: "unknown", Message: "joined, not connected yet" },
          Role: "worker",
        });
      }
    });
    await this.#passWhile("the first write", founding);
    for (const node of this.#nodes) node.start();
    for (let i = 0; i < services; i++) {
      await this.#ask(() =>
        this.#managers.call("service.create", { spec: drawService(this.#random, `s${i}`, nodes) })
      );
    }
    await this.#time.pass(5_000);
  }

  /** Lets time pass until `work` is done. */
  async #passWhile<T>(what: string, work: Promise<T>): Promise<T> {
    let over = false;
    const done = work.finally(() => over = true);
    done.catch(() => {});
    for (let ms = 0; !over && ms < LONGEST_WAIT_MS; ms += 10) await this.#time.pass(10);
    if (!over) throw new Error(`${what} does not end`);
    return await done;
  }

  /** As a client does: again while nobody leads or the object changed meanwhile; a refusal is an answer. */
  async #ask(run: () => Promise<unknown>): Promise<void> {
    for (let i = 0; i < MAX_ATTEMPTS; i++) {
      try {
        await this.#passWhile("a change", run());
        return;
      } catch (error) {
        if (!(error instanceof FleetError)) throw error;
        if (error.kind !== "unavailable" && error.kind !== "out-of-sequence") return;
        await this.#time.pass(200);
      }
    }
    throw new Error("a change was refused for want of a leader again and again");
  }

  async #weatherTheStorm(): Promise<void> {
    const { stormMs, faultEveryMs, changeEveryMs, faults, nodes } = this.#options;
    this.#storm = true;
    const end = this.#time.monotonic() + stormMs;
    let nextFault = this.#time.monotonic();
    let nextChange = nextFault;
    const soon = (everyMs: number) => this.#time.monotonic() + this.#random.float() * 2 * everyMs;
    while (this.#time.monotonic() < end) {
      if (faults.length > 0 && this.#time.monotonic() >= nextFault) {
        await this.#fault(faults[randomInt(this.#random, faults.length)]!);
        nextFault = soon(faultEveryMs);
      }
      if (this.#time.monotonic() >= nextChange) {
        await this.#ask(() => change(this.#managers, this.#random, nodes));
        nextChange = soon(changeEveryMs);
      }
      const until = Math.min(end, nextFault, nextChange);
      await this.#time.pass(Math.max(1, until - this.#time.monotonic()));
      if (this.#managers.failure) throw new Error(this.#managers.failure);
    }
    this.#storm = false;
  }

  #after(ms: number, run: () => void): void {
    // What is broken when the storm ends is mended then.
    this.#time.after(ms, () => this.#storm && run());
  }

  async #fault(fault: ControlFault): Promise<void> {
    this.#counts.set(fault, (this.#counts.get(fault) ?? 0) + 1);
    const random = this.#random;
    const some = (share: number) => this.#nodes.filter(() => random.float() < share);
    const node = this.#nodes[randomInt(random, this.#nodes.length)]!;
    const duration = random.float() < 0.5 ? randomInt(random, 4_000) : randomInt(random, 40_000);
    switch (fault) {
      case "leader crash":
      case "leader change":
        await this.#passWhile("an election", this.#managers.elect(fault === "leader crash"));
        return;
      case "agent restart":
        node.stop();
        return this.#after(duration, () => node.start());
      case "power loss":
        node.stop(true);
        return this.#after(duration, () => node.start());
      case "engine restart":
        node.executor.goDown();
        return this.#after(duration, () => node.executor.comeUp());
      case "partition": {
        const cut = random.float() < 0.5 ? [node] : some(random.float() / 2);
        for (const one of cut) one.connected = false;
        return this.#after(duration, () => {
          for (const one of cut) one.connected = true;
        });
      }
      case "program ends":
        for (const one of some(0.1)) {
          const id = one.executor.running()[0];
          if (id) one.executor.end(id, { code: random.float() < 0.5 ? 0 : 1 });
        }
        return;
      case "drain": {
        const to = (["active", "pause", "drain"] as const)[randomInt(random, 3)]!;
        return await this.#ask(() => this.#changeNode(node.id, { Availability: to }));
      }
      case "labels":
        return await this.#ask(() =>
          this.#changeNode(node.id, { Labels: { zone: random.float() < 0.5 ? "a" : "b" } })
        );
    }
  }

  async #changeNode(
    id: string,
    spec: { Availability?: "active" | "pause" | "drain"; Labels?: Record<string, string> },
  ): Promise<void> {
    const node = this.#managers.truth.get("node", id)!;
    await this.#managers.call("node.update", {
      id,
      version: node.Version.Index,
      spec: { ...node.Spec, ...spec },
    });
  }

  /** Mends everything, waits, and says how long it took. */
  async #untilAsWanted(): Promise<number> {
    this.#weather.calm = true;
    if (this.#options.faults.includes("power loss")) {
      for (let i = randomInt(this.#random, MAX_DEAD + 1); i > 0; i--) {
        const { id } = this.#nodes[randomInt(this.#random, this.#nodes.length)]!;
        this.#dead.add(id);
      }
    }
    for (const node of this.#nodes) {
      if (this.#dead.has(node.id)) {
        node.stop(true);
        continue;
      }
      node.connected = true;
      node.executor.comeUp();
      node.start();
      await this.#ask(() => this.#changeNode(node.id, { Availability: "active" }));
    }
    await this.#ask(() => heal(this.#managers, this.#managers.truth));
    const since = this.#time.monotonic();
    for (;;) {
      const wrong = this.#wrong();
      if (wrong.length === 0) return this.#time.monotonic() - since;
      if (this.#managers.failure) throw new Error(this.#managers.failure);
      if (this.#time.monotonic() - since > HEAL_WITHIN_MS) {
        const told = wrong.slice(0, MAX_DEVIATIONS_TOLD).join("; ");
        throw new Error(`not as wanted ${HEAL_WITHIN_MS / 60_000} min after the storm: ${told}`);
      }
      await this.#time.pass(LOOK_EVERY_MS);
    }
  }

  /** Deviations of the store from the services, and of the machines from the store. */
  #wrong(): string[] {
    const { truth } = this.#managers;
    const wrong = [...truth.all("service")].flatMap((service) =>
      service.PendingDelete
        ? [`${service.ID} is still there`]
        : deviations(truth, service, this.#dead)
    );
    for (const { id, executor } of this.#nodes) {
      if (this.#dead.has(id)) continue;
      const wanted = [...truth.tasksOfNode(id)]
        .filter((task) => task.Status.State === "running" && !isTerminal(task.DesiredState))
        .map(({ ID }) => ID).sort();
      const here = executor.running();
      if (wanted.join() !== here.join()) wrong.push(`${id} runs [${here}] instead of [${wanted}]`);
    }
    return wrong;
  }

  async #end(): Promise<void> {
    for (const node of this.#nodes) node.stop();
    const ended = Promise.all([
      ...this.#nodes.map((node) => node.settled()),
      this.#managers.stop(),
    ]);
    await this.#passWhile("the end", ended).catch((error: unknown) => {
      this.#failure ??= messageOf(error);
    });
  }
}
