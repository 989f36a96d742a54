import { FleetError } from "../../src/base/errors.ts";
import type {
  Assignment,
  Assignments,
  FromAgent,
  FromDispatcher,
} from "../../src/model/session.ts";
import type { Task, TaskStatus } from "../../src/model/task.ts";
import type { OpenSession, SessionOpener } from "../../src/roles/agent/agent.ts";

/** A dispatcher's side of sessions, moved by the test's hand. */
export class FakeDispatcher implements SessionOpener {
  readonly sessions: FakeSession[] = [];
  /** Why no session can be had. */
  refusal: string | undefined;
  /** Answers hellos and acknowledges statuses by itself. */
  polite = true;
  /** The newest status of each task, over all sessions. */
  readonly statuses = new Map<string, TaskStatus>();

  async open(signal: AbortSignal): Promise<OpenSession> {
    signal.throwIfAborted();
    if (this.refusal) throw new FleetError("unavailable", this.refusal);
    const session = new FakeSession(this);
    this.sessions.push(session);
    return session;
  }

  get current(): FakeSession {
    return this.sessions.at(-1)!;
  }
}

export class FakeSession implements OpenSession {
  answer(): never {
    throw new Error("nobody asks this session");
  }

  readonly received: FromAgent[] = [];
  readonly #queue: FromDispatcher[] = [];
  #wake: () => void = () => {};
  #statusMessages = 0;
  #sequence = 0;
  closed = false;

  constructor(private readonly dispatcher: FakeDispatcher) {}

  async send(message: FromAgent): Promise<void> {
    if (this.closed) throw new FleetError("unavailable", "the session is over");
    this.received.push(message);
    if (message.type === "status") {
      for (const { taskId, status } of message.updates) {
        this.dispatcher.statuses.set(taskId, status);
      }
      this.#statusMessages++;
      if (this.dispatcher.polite) this.tell({ type: "ack", count: this.#statusMessages });
    }
    if (message.type === "hello" && this.dispatcher.polite && this.count("hello") === 1) {
      this.welcome();
    }
  }

  readonly messages: AsyncIterable<FromDispatcher> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        for (;;) {
          const value = this.#queue.shift();
          if (value) return { done: false, value };
          if (this.closed) return { done: true, value: undefined };
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
      },
    }),
  };

  close(): void {
    this.closed = true;
    this.#wake();
  }

  tell(message: FromDispatcher): void {
    this.#queue.push(message);
    this.#wake();
  }

  welcome(heartbeatPeriodMs = 5_000): void {
    this.tell({
      type: "session",
      sessionId: `session${this.dispatcher.sessions.length}`,
      heartbeatPeriodMs,
      managers: [],
      role: "worker",
      renewCertificate: false,
    });
  }

  /** The whole set. */
  assign(tasks: readonly Task[], more: readonly Assignment[] = []): void {
    this.#assignments("complete", [...more, ...tasks.map(assignment)], []);
  }

  /** A difference to what was sent last in this session. */
  change(update: readonly Task[], removed: readonly string[] = []): void {
    const remove = removed.map((id) => ({ kind: "task", id } as const));
    this.#assignments("incremental", update.map(assignment), remove);
  }

  #assignments(
    kind: Assignments["kind"],
    update: readonly Assignment[],
    remove: Assignments["remove"],
  ): void {
    const appliesTo = this.#sequence;
    const resultsIn = ++this.#sequence;
    this.tell({
      type: "assignments",
      assignments: { kind, appliesTo, resultsIn, update, remove },
    });
  }

  count(type: FromAgent["type"]): number {
    return this.received.filter((message) => message.type === type).length;
  }

  /** `id state` of every status told in this session, in order. */
  told(): string[] {
    return this.received.flatMap((message) =>
      message.type === "status"
        ? message.updates.map(({ taskId, status }) => `${taskId} ${status.State}`)
        : []
    );
  }
}

function assignment(task: Task): Assignment {
  return { kind: "task", id: task.ID, task };
}
