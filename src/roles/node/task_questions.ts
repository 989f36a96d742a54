import type { Backend } from "../../api/backend.ts";
import type { Duplex } from "../../base/duplex.ts";
import { FleetError, kindOf, messageOf } from "../../base/errors.ts";
import { rolesOf } from "../../core/pki/route_roles.ts";
import type { Manager } from "../manager/manager.ts";
import type { RouteTable, RpcDialer, RpcStream } from "../rpc.ts";
import { StreamDuplex } from "../stream_duplex.ts";
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

/** A conversation with the engine of the node that runs a task, through the leader as well. */
export async function converseWithTask(
  manager: Manager,
  dialer: RpcDialer,
  ...[taskId, path, exchange, signal]: Parameters<Backend["converse"]>
): Promise<Duplex> {
  const question = { taskId, path, exchange };
  const { leaderWork } = manager;
  if (leaderWork) {
    const { stream, finish } = await leaderWork.converse(question, signal);
    return await started(stream, finish);
  }
  const leader = manager.members().find((member) => member.leader);
  if (!leader) throw new FleetError("unavailable", manager.noLeaderSentence());
  const caller = await dialer.connect(leader.addr, { expectNodeId: leader.nodeId, signal });
  return await started(caller.open("tasks.ask", question, { signal }), () => caller.close());
}

/** The stream as a connection, once the node has begun. @throws FleetError of the node */
async function started(stream: RpcStream, onClose: () => void): Promise<Duplex> {
  try {
    const messages = stream[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done) throw new FleetError("unavailable", "the node ended before it began");
    return new StreamDuplex(stream, { messages, onClose });
  } catch (error) {
    onClose();
    throw error;
  }
}

/** The leader's part for another manager: everything goes through as it is. */
async function relay(
  asker: RpcStream,
  { stream, finish }: { stream: RpcStream; finish: () => void },
): Promise<void> {
  const onward = (async () => {
    for await (const message of asker) await stream.send(message);
    await stream.end();
  })().catch(() => stream.cancel("the asker has gone"));
  try {
    for await (const message of stream) await asker.send(message);
    await asker.end();
  } catch (error) {
    asker.cancel(messageOf(error), kindOf(error));
  } finally {
    stream.cancel("the conversation is over");
    finish();
    // The asker closes its side when it has read the end.
    await onward;
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
    const { taskId, nodeId, path, exchange } = (stream.meta ?? {}) as Partial<TaskQuestion>;
    if (typeof taskId !== "string" || typeof path !== "string") {
      throw new FleetError("invalid", "a question needs a task and a path");
    }
    if (exchange) {
      const question = { taskId, path, exchange };
      return await relay(stream, await work().converse(question, stream.signal));
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
