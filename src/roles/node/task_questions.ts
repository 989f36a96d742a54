import { FleetError } from "../../base/errors.ts";
import { rolesOf } from "../../core/pki/route_roles.ts";
import type { Manager } from "../manager/manager.ts";
import type { RouteTable, RpcDialer } from "../rpc.ts";
import { isCommand, receiveAnswer, receiveInput, sendAnswer, sendInput } from "../task_answer.ts";
import type { TaskAnswer, TaskInput, TaskQuestion } from "../task_answer.ts";
import { assertManager } from "./admission.ts";

/** Asks the node that runs a task, through the leader, with whom every node has a session. */
export async function askTask(
  manager: Manager,
  dialer: RpcDialer,
  question: TaskQuestion,
  signal: AbortSignal,
  input?: AsyncIterable<TaskInput>,
): Promise<TaskAnswer> {
  const { leaderWork } = manager;
  if (leaderWork) return await leaderWork.ask(question, signal, input);
  const leader = manager.members().find((member) => member.leader);
  if (!leader) throw new FleetError("unavailable", manager.noLeaderSentence());
  const caller = await dialer.connect(leader.addr, { expectNodeId: leader.nodeId, signal });
  try {
    const stream = caller.open("tasks.ask", question, { signal });
    if (input) void sendInput(stream, input).catch(() => stream.cancel("the reader has gone"));
    else await stream.end();
    const answer = await receiveAnswer(stream);
    return { ...answer, body: closing(answer.body, () => caller.close()) };
  } catch (error) {
    caller.close();
    throw error;
  }
}

async function* closing(
  body: AsyncIterable<Uint8Array>,
  close: () => void,
): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } finally {
    close();
  }
}

/** The leader's routes for questions: of other managers, and for the answers of nodes. */
export function registerQuestionRoutes(table: RouteTable, manager: () => Manager): void {
  const work = () => {
    const { leaderWork } = manager();
    if (!leaderWork) throw new FleetError("unavailable", "this manager does not lead");
    return leaderWork;
  };
  table.streamRoute("tasks.ask", rolesOf("tasks.ask"), async (stream, { peer }) => {
    assertManager(manager(), peer);
    const { taskId, nodeId, path } = (stream.meta ?? {}) as Partial<TaskQuestion>;
    if (typeof taskId !== "string" || typeof path !== "string") {
      throw new FleetError("invalid", "a question needs a task and a path");
    }
    const input = isCommand(path) ? receiveInput(stream) : undefined;
    const whom = typeof nodeId === "string" ? { taskId, nodeId } : { taskId };
    await sendAnswer(stream, await work().ask({ ...whom, path }, stream.signal, input));
  });
  table.streamRoute(
    "tasks.answer",
    rolesOf("tasks.answer"),
    (stream, context) => work().serveAnswer(stream, context),
  );
}
