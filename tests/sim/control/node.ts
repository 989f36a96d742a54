import type { Clock } from "../../../src/base/clock.ts";
import { sleep } from "../../../src/base/clock.ts";
import { FleetError } from "../../../src/base/errors.ts";
import { silentLogger } from "../../../src/base/log.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { modeOf } from "../../../src/model/service.ts";
import type { FromAgent, FromDispatcher } from "../../../src/model/session.ts";
import type { Task } from "../../../src/model/task.ts";
import { Agent } from "../../../src/roles/agent/agent.ts";
import type { OpenSession } from "../../../src/roles/agent/agent.ts";
import { MemoryTaskStore } from "../../../src/roles/agent/task_store.ts";
import { FakeExecutor } from "../../support/fake_executor.ts";
import { link } from "./link.ts";
import type { Managers } from "./managers.ts";

/** An image takes up to this long to come, a program to start and to stop. */
const MAX_PREPARE_MS = 2_000;
const MAX_START_MS = 1_000;
const MAX_STOP_MS = 3_000;
/** A crashing program lives up to this long, a job's program works as long. */
const MAX_LIFE_MS = 5_000;

/** What programs do: by image while faults are in force, all well after. */
export interface Weather {
  calm: boolean;
  /** Nothing takes longer than it must: for benchmarks. */
  readonly instant?: boolean;
}

/** A machine: the real agent, a stub engine, a network cable. Programs and stored tasks outlive the agent. */
export class SimNode {
  readonly id: string;
  readonly executor = new FakeExecutor();
  /** Whether managers can be reached. */
  connected = true;
  readonly #store = new MemoryTaskStore();
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #managers: Managers;
  #agent: Agent | undefined;
  #busy: Promise<void> = Promise.resolve();

  constructor(
    id: string,
    options: { clock: Clock; random: SeededRandom; managers: Managers; weather: Weather },
  ) {
    const { clock, random, managers, weather } = options;
    this.id = id;
    this.#clock = clock;
    this.#random = random;
    this.#managers = managers;
    const { executor } = this;
    executor.description = {
      Hostname: id,
      Platform: { OS: "linux", Architecture: "x86_64" },
      Resources: { NanoCPUs: 4e9, MemoryBytes: 8 * 1024 ** 3 },
    };
    const pause = async (ms: number, signal: AbortSignal) => {
      if (!weather.instant) await sleep(clock, random.float() * ms, signal);
    };
    executor.beforePrepare = async (task, signal) => {
      await pause(MAX_PREPARE_MS, signal);
      if (imageOf(task) === "bad" && !weather.calm) throw new Error("No such image: bad");
    };
    executor.beforeStart = async (task, signal) => {
      await pause(MAX_START_MS, signal);
      const job = isJob(task, managers);
      const crash = imageOf(task) === "crash" && !weather.calm;
      if (!job && !crash) return;
      clock.after(
        1 + random.float() * MAX_LIFE_MS,
        () => executor.end(task.ID, { code: crash ? 1 : 0 }),
      );
    };
    executor.beforeStop = (_task, signal) => pause(MAX_STOP_MS, signal);
  }

  get running(): boolean {
    return this.#agent !== undefined;
  }

  start(): void {
    this.#busy = this.#busy.then(async () => {
      if (this.#agent) return;
      const agent = new Agent({
        transport: { open: (signal) => this.#open(signal) },
        executor: this.executor,
        store: this.#store,
        clock: this.#clock,
        random: new SeededRandom(this.#random.uint32()),
        logger: silentLogger,
        onSession: () => {},
      });
      this.#agent = agent;
      await agent.start();
    });
  }

  /** The agent ends; programs go on, unless the machine lost its power. */
  stop(powerLoss = false): void {
    this.#busy = this.#busy.then(async () => {
      const agent = this.#agent;
      this.#agent = undefined;
      await agent?.stop();
      if (!powerLoss) return;
      for (const id of this.executor.running()) this.executor.end(id, { code: 137 });
    });
  }

  async settled(): Promise<void> {
    await this.#busy;
  }

  async #open(signal: AbortSignal): Promise<OpenSession> {
    await sleep(this.#clock, 1 + this.#random.float() * 20, signal);
    const { leader } = this.#managers;
    const work = leader?.work;
    if (!this.connected || !leader || !work) {
      throw new FleetError("unavailable", "no leader can be reached");
    }
    const ends = link(this.#clock, this.#random, this.id, () => this.connected);
    const context = {
      route: "dispatcher.session",
      peer: ends.manager.peer,
      remoteAddress: "10.0.0.1:1",
      signal: ends.manager.signal,
    };
    work.serveSession(ends.manager, context).then(
      () => ends.manager.cancel(),
      () => ends.manager.cancel(),
    );
    return {
      send: (message: FromAgent) => ends.agent.send(message),
      messages: ends.agent as AsyncIterable<FromDispatcher>,
      answer: () => {
        throw new FleetError("unavailable", "nobody asks here");
      },
      close: () => ends.agent.cancel(),
    };
  }
}

function imageOf(task: Task): string {
  return (task.Spec.ContainerSpec?.Image ?? "").split(":")[0]!;
}

function isJob(task: Task, managers: Managers): boolean {
  const service = managers.truth.get("service", task.ServiceID ?? "");
  return service !== undefined && modeOf(service.Spec).endsWith("-job");
}
