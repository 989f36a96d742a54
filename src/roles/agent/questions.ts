import type { Duplex } from "../../base/duplex.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { RpcStream } from "../rpc.ts";
import { isCommand, receiveInput, sendAnswer } from "../task_answer.ts";
import type { TaskAnswer, TaskInput, TaskQuestion } from "../task_answer.ts";
import { exchange } from "./exchange.ts";

/** Reads from the node's engine; `src/adapters/docker` implements it. */
export interface ContainerReader {
  read(target: string, signal: AbortSignal): Promise<TaskAnswer>;
  /** A new connection to the engine. @throws FleetError unavailable */
  dial(): Promise<Duplex>;
  /** Runs a command in a terminal in the container; the answer is all that it prints. */
  run(
    container: string,
    command: string,
    input: AsyncIterable<TaskInput>,
    signal: AbortSignal,
  ): Promise<TaskAnswer>;
}

/** What the node says of itself; `src/compose` puts it together. */
export interface NodeAnswers {
  /** @throws FleetError forbidden for what is no question to a node */
  answer(path: string, signal: AbortSignal): Promise<TaskAnswer>;
}

export interface QuestionsOptions {
  readonly reader: ContainerReader;
  readonly node?: NodeAnswers | undefined;
  /** The container of a task that is assigned to this node. */
  readonly containerOf: (taskId: string) => string | undefined;
  readonly logger: Logger;
}

/** Answers under way at once; followed logs stay long. */
const MAX_ANSWERS = 256;
/**
 * Reading, and a terminal in a container, and nothing but containers of tasks: a manager may do inside them
 * what it likes, since it says what runs there, but it is no root on this node.
 */
const ALLOWED = /^(logs|json|top|stats)(\?[\w=&.%:+,-]*)?$/;

/** Answers what managers ask of the containers of this node's tasks. */
export class Questions {
  readonly #options: QuestionsOptions;
  #underWay = 0;

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /** Answers one question on a stream of its own; a failure is told there and ends nothing else. */
  async answer(
    question: TaskQuestion,
    open: () => RpcStream,
  ): Promise<void> {
    const stream = open();
    const { reader, node, containerOf, logger } = this.#options;
    this.#underWay++;
    try {
      if (this.#underWay > MAX_ANSWERS) {
        throw new FleetError("unavailable", "this node answers too many questions at once");
      }
      if (question.taskId === "") {
        if (!node) throw new FleetError("forbidden", "this node answers nothing about itself");
        return await sendAnswer(stream, await node.answer(question.path, stream.signal));
      }
      const container = containerOf(question.taskId);
      if (container === undefined) {
        throw new FleetError("not-found", `task ${question.taskId} has no container on this node`);
      }
      const { exchange: head } = question;
      if (head) {
        return await exchange({ ...question, exchange: head }, container, { reader, stream });
      }
      if (isCommand(question.path)) {
        const command = new URLSearchParams(question.path.slice("exec?".length)).get("command");
        const input = receiveInput(stream);
        const answer = await reader.run(container, command || "sh", input, stream.signal);
        return await sendAnswer(stream, answer);
      }
      if (!ALLOWED.test(question.path)) {
        throw new FleetError("forbidden", `"${question.path}" is nothing that a node answers`);
      }
      const answer = await reader.read(`/containers/${container}/${question.path}`, stream.signal);
      await sendAnswer(stream, answer);
    } catch (error) {
      logger.log("debug", "a question was not answered", { error: messageOf(error) });
      const kind = error instanceof FleetError ? error.kind : "internal";
      stream.cancel(messageOf(error), kind);
    } finally {
      this.#underWay--;
    }
  }
}
