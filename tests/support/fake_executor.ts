import { FleetError } from "../../src/base/errors.ts";
import { TemporaryError } from "../../src/core/task/controller.ts";
import type { Controller, Exit, TaskFacts } from "../../src/core/task/controller.ts";
import type { NodeDescription } from "../../src/model/node.ts";
import type { Task } from "../../src/model/task.ts";
import type { AgentExecutor } from "../../src/roles/agent/agent.ts";

/** What one task has on the node. */
export interface FakeProgram {
  state: "created" | "running" | "ended";
  exit: Exit;
  starts: number;
  readonly ended: PromiseWithResolvers<Exit>;
}

/**
 * A node without Docker: programs that exist, run and end as the test says, and an engine that can be
 * away. Survives the agents that use it, as an engine does.
 */
export class FakeExecutor implements AgentExecutor {
  readonly programs = new Map<string, FakeProgram>();
  description: NodeDescription = { Hostname: "fake", Resources: { NanoCPUs: 2e9 } };
  /** Awaited in `prepare`; throws what makes a task be rejected. */
  beforePrepare: (task: Task, signal: AbortSignal) => Promise<void> | void = () => {};
  beforeStart: (task: Task, signal: AbortSignal) => Promise<void> | void = () => {};
  /** Awaited before a program is ended on request. */
  beforeStop: (task: Task, signal: AbortSignal) => Promise<void> | void = () => {};
  #up = true;
  readonly #comesUp: (() => void)[] = [];

  goDown(): void {
    for (const id of this.programs.keys()) this.end(id, { code: 143 });
    this.#up = false;
  }

  comeUp(): void {
    this.#up = true;
    for (const wake of this.#comesUp.splice(0)) wake();
  }

  /** The program ends by itself. */
  end(taskId: string, exit: Exit): void {
    const program = this.programs.get(taskId);
    if (program?.state !== "running") return;
    program.state = "ended";
    program.exit = exit;
    program.ended.resolve(exit);
  }

  running(): string[] {
    return [...this.programs].filter(([, { state }]) => state === "running").map(([id]) => id)
      .sort();
  }

  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }

  async ping(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#up) throw new FleetError("unavailable", "no engine answers");
  }

  async describe(signal: AbortSignal): Promise<NodeDescription> {
    await this.ping(signal);
    return this.description;
  }

  controller(task: Task): Controller {
    return new FakeController(task, this);
  }

  async taskIds(signal: AbortSignal): Promise<string[]> {
    await this.ping(signal);
    return [...this.programs.keys()].sort();
  }

  async removeUnknown(taskId: string, signal: AbortSignal): Promise<void> {
    await this.ping(signal);
    this.remove(taskId);
  }

  remove(taskId: string): void {
    this.end(taskId, { code: 137, reason: "container was removed" });
    this.programs.delete(taskId);
  }

  /** @throws TemporaryError while the engine is away */
  mustBeUp(): void {
    if (!this.#up) throw new TemporaryError("no engine answers");
  }
}

class FakeController implements Controller {
  constructor(private readonly task: Task, private readonly node: FakeExecutor) {}

  async prepare(signal: AbortSignal): Promise<void> {
    this.node.mustBeUp();
    if (this.#program) return;
    await this.node.beforePrepare(this.task, signal);
    this.node.mustBeUp();
    this.node.programs.set(this.task.ID, {
      state: "created",
      exit: { code: 0 },
      starts: 0,
      ended: Promise.withResolvers(),
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    this.node.mustBeUp();
    await this.node.beforeStart(this.task, signal);
    const program = this.#program;
    if (!program) throw new Error("container was removed before it started");
    if (program.state !== "created") return;
    program.state = "running";
    program.starts++;
  }

  async wait(signal: AbortSignal): Promise<Exit> {
    this.node.mustBeUp();
    const program = this.#program;
    if (!program) return { code: 137, reason: "container was removed" };
    if (program.state === "ended") return program.exit;
    return await new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      program.ended.promise.then(resolve);
    });
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    this.node.mustBeUp();
    await this.node.beforeStop(this.task, signal);
    this.node.end(this.task.ID, { code: 143 });
  }

  async remove(_signal: AbortSignal): Promise<void> {
    this.node.mustBeUp();
    this.node.remove(this.task.ID);
  }

  async facts(): Promise<TaskFacts> {
    const program = this.#program;
    if (!program) return {};
    return {
      container: { ContainerID: `container-${this.task.ID}`, ExitCode: program.exit.code },
    };
  }

  get #program(): FakeProgram | undefined {
    return this.node.programs.get(this.task.ID);
  }
}
