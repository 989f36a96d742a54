import type { Group } from "../../base/group.ts";
import type { RpcContext, RpcStream } from "../rpc.ts";
import type { TaskAnswer, TaskInput, TaskQuestion } from "../task_answer.ts";

/** What only the leader runs. It is made anew for each time of leading. */
export interface LeaderWork {
  /** Starts the loops; a failure of one ends the leader's work. */
  start(group: Group): void;
  /** Agents that have a session now. */
  readonly sessions: number;
  /** Nodes whose session ended a moment ago. */
  readonly silentNodes: readonly string[];
  /** Serves one agent's session until it ends. */
  serveSession(stream: RpcStream, context: RpcContext): Promise<void>;
  /** Asks the node that runs a task. */
  ask(
    question: TaskQuestion,
    signal: AbortSignal,
    input?: AsyncIterable<TaskInput>,
  ): Promise<TaskAnswer>;
  /** Opens a conversation with that node's engine; `finish` is called when it is over. */
  converse(
    question: TaskQuestion,
    signal: AbortSignal,
  ): Promise<{ stream: RpcStream; finish: () => void }>;
  /** Takes a node's answer to such a question. */
  serveAnswer(stream: RpcStream, context: RpcContext): Promise<void>;
}
