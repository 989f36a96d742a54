import type { Clock } from "../../base/clock.ts";
import { FleetError } from "../../base/errors.ts";
import { nodeName } from "../../model/node.ts";
import type { Node } from "../../model/node.ts";
import type { View } from "../../model/view.ts";
import type { RpcContext, RpcStream } from "../rpc.ts";
import { receiveAnswer, sendInput } from "../task_answer.ts";
import type { TaskAnswer, TaskInput, TaskQuestion } from "../task_answer.ts";

/** A node that is there begins to answer within this. */
const ANSWER_TIMEOUT_MS = 5_000;
/** Questions that no node has begun to answer. */
const MAX_WAITING = 4_096;

interface Waiting {
  readonly nodeId: string;
  /** False while the node has no session; until then the question is not on its way. */
  sent: boolean;
  readonly send: () => boolean;
  readonly resolve: (stream: RpcStream) => void;
  readonly done: Promise<void>;
}

/**
 * The leader's end of questions to nodes: the question goes by the session, the answer on its own stream. A node
 * without a session that is not known to be down has the usual time to open one: after a change of leader all
 * nodes do, and so does one whose agent restarts.
 */
export class AskedTasks {
  readonly #waiting = new Map<string, Waiting>();
  readonly #clock: Clock;
  readonly #newId: () => string;

  constructor(clock: Clock, newId: () => string) {
    this.#clock = clock;
    this.#newId = newId;
  }

  /** @throws FleetError not-found, unavailable (naming the node), timeout, or the node's own */
  async ask(
    view: View,
    question: TaskQuestion,
    send: (nodeId: string, requestId: string) => boolean,
    signal: AbortSignal,
    input?: AsyncIterable<TaskInput>,
  ): Promise<TaskAnswer> {
    const { stream, finish } = await this.open(view, question, send, signal);
    try {
      if (input) {
        void sendInput(stream, input).catch(() => stream.cancel("the reader has gone"));
      }
      const answer = await receiveAnswer(stream);
      return { ...answer, body: untilOver(answer.body, finish) };
    } catch (error) {
      finish();
      throw error;
    }
  }

  /**
   * The stream on which the node answers, or converses; the caller calls `finish` when it is done with it.
   * @throws FleetError not-found, unavailable (naming the node), timeout
   */
  async open(
    view: View,
    { taskId, nodeId, path }: TaskQuestion,
    send: (nodeId: string, requestId: string) => boolean,
    signal: AbortSignal,
  ): Promise<{ stream: RpcStream; finish: () => void }> {
    const node = nodeId === undefined ? nodeOfTask(view, taskId) : view.get("node", nodeId);
    if (!node) throw new FleetError("not-found", `node ${nodeId} not found`);
    if (this.#waiting.size >= MAX_WAITING) {
      throw new FleetError("unavailable", "too many questions wait for nodes");
    }
    const requestId = this.#newId();
    const finished = Promise.withResolvers<void>();
    try {
      const stream = await new Promise<RpcStream>((resolve, reject) => {
        const name = nodeName(node);
        const waiting: Waiting = {
          nodeId: node.ID,
          sent: false,
          send: () => send(node.ID, requestId),
          resolve,
          done: finished.promise,
        };
        const notConnected = () =>
          new FleetError(
            "unavailable",
            `node ${name} is not connected (${path.split("?")[0]}${
              taskId === "" ? "" : ` of task ${taskId}`
            })`,
          );
        this.#waiting.set(requestId, waiting);
        this.#clock.after(
          ANSWER_TIMEOUT_MS,
          () =>
            reject(
              waiting.sent
                ? new FleetError("timeout", `node ${name} does not answer`)
                : notConnected(),
            ),
        );
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        waiting.sent = waiting.send();
        if (!waiting.sent && node.Status.State === "down") reject(notConnected());
      });
      const onAbort = () => stream.cancel("the reader has gone");
      signal.addEventListener("abort", onAbort, { once: true });
      return { stream, finish: () => finished.resolve() };
    } catch (error) {
      finished.resolve();
      throw error;
    } finally {
      this.#waiting.delete(requestId);
    }
  }

  /** A node has a session again: what waited for that goes to it. */
  connected(nodeId: string): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.nodeId === nodeId && !waiting.sent) waiting.sent = waiting.send();
    }
  }

  /** The stream on which a node answers; it lives until the answer is read. */
  async serve(stream: RpcStream, { peer }: RpcContext): Promise<void> {
    const { requestId = "" } = (stream.meta ?? {}) as { requestId?: string };
    const waiting = this.#waiting.get(requestId);
    if (!waiting || peer.role === "anonymous" || peer.nodeId !== waiting.nodeId) {
      throw new FleetError("not-found", "nobody waits for this answer any more");
    }
    this.#waiting.delete(requestId);
    waiting.resolve(stream);
    await waiting.done;
  }
}

function nodeOfTask(view: View, taskId: string): Node {
  const task = view.get("task", taskId);
  if (!task) throw new FleetError("not-found", `task ${taskId} not found`);
  const node = view.get("node", task.NodeID ?? "");
  if (!node) throw new FleetError("unavailable", `task ${taskId} is on no node`);
  return node;
}

async function* untilOver(
  body: AsyncIterable<Uint8Array>,
  over: () => void,
): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } finally {
    over();
  }
}
