import type { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { taskName } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { targetOf } from "../engine_fetch.ts";
import { STREAM_HEADER } from "../front/front.ts";

/** As short as clients print ids; shorter ones are for containers of this node. */
const SHORTEST_ID = /^[0-9a-f]{12,64}$/;

/**
 * Whether `reference` names the container of a task on another node, by its id or its name. False on a
 * node that is no manager: it knows its own containers only.
 */
export async function isRemoteContainer(backend: Backend, reference: string): Promise<boolean> {
  const { state, manager, nodeId } = backend.localState();
  if (state !== "active" || !manager) return false;
  try {
    const { value } = await backend.read((view) => remoteTask(view, reference, nodeId));
    return value !== undefined;
  } catch {
    // The engine can say at least what it knows.
    return false;
  }
}

function remoteTask(view: View, reference: string, nodeId: string): string | undefined {
  const byId = SHORTEST_ID.test(reference);
  if (!byId && !reference.includes(".")) return undefined;
  for (const task of view.all("task")) {
    if (!task.NodeID || task.NodeID === nodeId) continue;
    const id = task.Status.ContainerStatus?.ContainerID;
    if (!id) continue;
    if (byId ? id.startsWith(reference) : taskName(task) === reference) return task.ID;
  }
  return undefined;
}

/** `docker logs|inspect|top|stats` on containers of other nodes. */
export function remoteContainerRoutes(app: Hono, backend: Backend): void {
  app.get("/containers/:id/:what{json|logs|top|stats}", async (c) => {
    const reference = c.req.param("id");
    const { nodeId } = backend.localState();
    const { value: taskId } = await backend.read((view) => remoteTask(view, reference, nodeId));
    if (taskId === undefined) {
      throw new FleetError("not-found", `No such container: ${reference}`);
    }
    const query = targetOf(c).split("?", 2)[1];
    const controller = new AbortController();
    c.req.raw.signal.addEventListener("abort", () => controller.abort(), { once: true });
    const path = query ? `${c.req.param("what")}?${query}` : c.req.param("what");
    const answer = await backend.askTask(taskId, path, controller.signal);
    const source = answer.body[Symbol.asyncIterator]();
    const body = new ReadableStream<Uint8Array>({
      async pull(out) {
        const next = await source.next();
        if (next.done) out.close();
        else out.enqueue(next.value);
      },
      async cancel() {
        controller.abort();
        await source.return?.();
      },
    }, { highWaterMark: 0 });
    return new Response(body, {
      status: answer.status,
      headers: { "content-type": answer.contentType, [STREAM_HEADER]: "1" },
    });
  });
}
