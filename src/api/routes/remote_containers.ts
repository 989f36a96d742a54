import type { Hono } from "hono";
import { close, writeAll } from "../../base/duplex.ts";
import type { Duplex } from "../../base/duplex.ts";
import { FleetError } from "../../base/errors.ts";
import { taskName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { withReason } from "../logs/frames.ts";
import { readerOf } from "../streamed.ts";
import { targetOf } from "../engine_fetch.ts";
import { STREAM_HEADER } from "../front/front.ts";

/** An id or a sentence. */
const MAX_ANSWER = 64 * 1024;
/** As short as clients print ids; shorter ones are for containers of this node. */
const SHORTEST_ID = /^[0-9a-f]{12,64}$/;

/** Whether `reference` names the container of a task on another node, by its id or its name. */
export async function isRemoteContainer(backend: Backend, reference: string): Promise<boolean> {
  return await findRemoteTask(backend, reference) !== undefined;
}

/**
 * The task on another node whose container `reference` names, by its id or its name. Undefined on a node that
 * is no manager: it knows its own containers only.
 */
export async function findRemoteTask(
  backend: Backend,
  reference: string,
): Promise<string | undefined> {
  const { state, manager, nodeId } = backend.localState();
  if (state !== "active" || !manager) return undefined;
  try {
    return (await backend.read((view) => remoteTask(view, reference, nodeId))).value?.ID;
  } catch {
    // The engine can say at least what it knows.
    return undefined;
  }
}

function remoteTask(view: View, reference: string, nodeId: string): Task | undefined {
  const byId = SHORTEST_ID.test(reference);
  if (!byId && !reference.includes(".")) return undefined;
  for (const task of view.all("task")) {
    if (!task.NodeID || task.NodeID === nodeId) continue;
    const id = task.Status.ContainerStatus?.ContainerID;
    if (!id) continue;
    if (byId ? id.startsWith(reference) : taskName(task) === reference) return task;
  }
  return undefined;
}

/** `docker logs|inspect|top|stats` on containers of other nodes. */
export function remoteContainerRoutes(app: Hono, backend: Backend): void {
  app.get("/containers/:id/:what{json|logs|top|stats}", async (c) => {
    const reference = c.req.param("id");
    const { nodeId } = backend.localState();
    const { value: task } = await backend.read((view) => remoteTask(view, reference, nodeId));
    if (!task) {
      throw new FleetError("not-found", `No such container: ${reference}`);
    }
    const query = targetOf(c).split("?", 2)[1];
    const reader = readerOf(c);
    const what = c.req.param("what");
    const path = query ? `${what}?${query}` : what;
    const answer = await backend.askTask(task.ID, path, reader.signal);
    const framed = what === "logs" && answer.status === 200 && !task.Spec.ContainerSpec?.TTY;
    const body = framed ? withReason(answer.body) : answer.body;
    return new Response(reader.body(body), {
      status: answer.status,
      headers: { "content-type": answer.contentType, [STREAM_HEADER]: "1" },
    });
  });

  // The id that is given out names the task as well: what is asked of it next may come to any manager.
  app.post("/containers/:id/exec", async (c) => {
    const reference = c.req.param("id");
    const taskId = await findRemoteTask(backend, reference);
    if (taskId === undefined) throw new FleetError("not-found", `No such container: ${reference}`);
    const answer = await createExec(backend, taskId, await c.req.text(), c.req.raw.signal);
    if (answer.status !== 201) return answer;
    const { Id } = await answer.json() as { Id: string };
    return c.json({ Id: `${Id}.${taskId}` }, 201);
  });
}

/** Has the engine of a task's node make a command ready in the task's container. */
async function createExec(
  backend: Backend,
  taskId: string,
  text: string,
  signal: AbortSignal,
): Promise<Response> {
  const body = new TextEncoder().encode(text);
  const headers = [["content-type", "application/json"], [
    "content-length",
    `${body.length}`,
  ]] as const;
  const engine = await backend.converse(taskId, "exec", { method: "POST", headers }, signal);
  try {
    await writeAll(engine, body);
    return await wholeAnswer(engine);
  } finally {
    close(engine);
  }
}

/** A short answer of an engine that ends the connection after it. @throws FleetError unavailable */
async function wholeAnswer(engine: Duplex): Promise<Response> {
  const buffer = new Uint8Array(MAX_ANSWER);
  let length = 0;
  let count: number | null = 0;
  while (count !== null && length < buffer.length) {
    length += count;
    count = await engine.read(buffer.subarray(length));
  }
  const text = new TextDecoder().decode(buffer.subarray(0, length));
  const [, status, head = "", body = ""] = /^HTTP\/1\.1 (\d{3})([^]*?)\r\n\r\n([^]*)$/.exec(text) ??
    [];
  if (status === undefined) throw new FleetError("unavailable", "the node's engine gave no answer");
  // Short answers come with their length; the pieces of others would have to be put together.
  const json = /transfer-encoding: chunked/i.test(head)
    ? body.replace(/^[0-9a-f]+\r\n|\r\n[0-9a-f]+\r\n|\r\n$/gi, "").trim()
    : body;
  return new Response(json, {
    status: Number(status),
    headers: { "content-type": "application/json" },
  });
}
