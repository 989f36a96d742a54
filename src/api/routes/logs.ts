import type { Context, Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { readerOf } from "../streamed.ts";
import { STREAM_HEADER } from "../front/front.ts";
import { gatherLogs } from "../logs/gather.ts";
import type { LogQuery } from "../logs/gather.ts";
import { lookUp } from "./lookup.ts";
import { isAtLeast, looseBoolean } from "./query.ts";

/** `/services/{id}/logs` and `/tasks/{id}/logs`: of all nodes, in one stream. */
export function logRoutes(app: Hono, backend: Backend): void {
  app.get("/services/:id/logs", async (c) => {
    const { value } = await backend.read((view) => {
      const { ID, Spec } = lookUp(view, "service", c.req.param("id"));
      return { id: ID, tty: Spec.TaskTemplate?.ContainerSpec?.TTY ?? false };
    });
    return await logs(c, backend, value.tty, (view) => [...view.tasksOfService(value.id)]);
  });
  app.get("/tasks/:id/logs", async (c) => {
    const { value } = await backend.read((view) => lookUp(view, "task", c.req.param("id")));
    const tty = value.Spec.ContainerSpec?.TTY ?? false;
    return await logs(c, backend, tty, (view) => {
      const task = view.get("task", value.ID);
      return task ? [task] : [];
    });
  });
}

async function logs(
  context: Context,
  backend: Backend,
  tty: boolean,
  select: (view: View) => readonly Task[],
): Promise<Response> {
  const query = queryOf(context);
  const reader = readerOf(context);
  const source = tty
    ? rawLogs(backend, await firstTask(backend, select), context, reader.signal)
    : gatherLogs(backend, select, query, reader.signal);
  return new Response(reader.body(source), {
    headers: {
      // Frames have a type of their own since 1.42.
      "content-type": tty || !isAtLeast(context, "1.42")
        ? "application/vnd.docker.raw-stream"
        : "application/vnd.docker.multiplexed-stream",
      [STREAM_HEADER]: "1",
    },
  });
}

/** A terminal's log has no frames: it goes through as it is, of one task. */
async function* rawLogs(
  backend: Backend,
  task: Task | undefined,
  context: Context,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (!task) return;
  const params = new URLSearchParams();
  for (const name of ["stdout", "stderr", "follow", "tail", "since", "until", "timestamps"]) {
    const value = context.req.query(name);
    if (value !== undefined) params.set(name, value);
  }
  const answer = await backend.askTask(task.ID, `logs?${params}`, signal);
  yield* answer.body;
}

async function firstTask(
  backend: Backend,
  select: (view: View) => readonly Task[],
): Promise<Task | undefined> {
  const { value } = await backend.read((view) => select(view));
  return value.find(({ Status }) => Status.ContainerStatus?.ContainerID);
}

/** @throws FleetError invalid, as Docker says it */
function queryOf(context: Context): LogQuery {
  const stdout = looseBoolean(context, "stdout");
  const stderr = looseBoolean(context, "stderr");
  if (!stdout && !stderr) {
    throw new FleetError("invalid", "Bad parameters: you must choose at least one stream");
  }
  const tail = context.req.query("tail") ?? "all";
  if (tail !== "all" && tail !== "" && !/^-?\d{1,9}$/.test(tail)) {
    throw new FleetError(
      "invalid",
      `invalid value for tail: "${tail}" is neither all nor a number`,
    );
  }
  for (const name of ["since", "until"]) {
    const time = context.req.query(name) ?? "";
    if (!/^(\d{1,12}(\.\d{1,9})?)?$/.test(time)) {
      throw new FleetError("invalid", `could not parse ${name} timestamp: "${time}"`);
    }
  }
  const count = Number(tail);
  return {
    stdout,
    stderr,
    follow: looseBoolean(context, "follow"),
    timestamps: looseBoolean(context, "timestamps"),
    details: looseBoolean(context, "details"),
    tail: tail === "all" || tail === "" || count < 0 ? undefined : count,
    since: context.req.query("since") ?? "",
    until: context.req.query("until") ?? "",
  };
}
