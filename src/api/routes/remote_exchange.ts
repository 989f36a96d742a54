import type { Duplex } from "../../base/duplex.ts";
import { FleetError } from "../../base/errors.ts";
import type { Backend } from "../backend.ts";
import type { RequestHead } from "../front/request_head.ts";
import { exchangedContainer, remoteExec } from "../front/route_choice.ts";
import { findRemoteTask } from "./remote_containers.ts";

/**
 * A connection on which the engine of another node takes a request about a task's container there: attach, cp,
 * the commands that `exec` started. Undefined for requests that this node answers.
 */
export async function remoteExchange(
  backend: Backend,
  { method, target, headers }: RequestHead,
): Promise<Duplex | undefined> {
  const exec = remoteExec(target);
  const query = target.includes("?") ? target.slice(target.indexOf("?")) : "";
  // The connection lives as long as both its ends; nothing else ends it.
  const { signal } = new AbortController();
  if (exec) {
    if (!backend.localState().manager) {
      throw new FleetError("not-found", `No such exec instance: ${exec.exec}`);
    }
    const path = `exec/${exec.exec}/${exec.what}${query}`;
    return await backend.converse(exec.taskId, path, { method, headers }, signal);
  }
  const container = exchangedContainer(method, target);
  if (container === undefined) return undefined;
  const taskId = await findRemoteTask(backend, container);
  if (taskId === undefined) return undefined;
  const what = /\/containers\/[^/]+\/([a-z]+)/.exec(target)![1];
  return await backend.converse(taskId, `${what}${query}`, { method, headers }, signal);
}
