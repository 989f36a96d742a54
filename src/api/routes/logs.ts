import type { Context, Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { readerOf } from "../streamed.ts";
import { STREAM_HEADER } from "../front/front.ts";
import { gatherLogs } from "../logs/gather.ts";
import type { LogQuery, LogSelection } from "../logs/task_log.ts";
import { lookUp } from "./lookup.ts";
import { isAtLeast, looseBoolean } from "./query.ts";

/** `/services/{id}/logs` and `/tasks/{id}/logs`: of all nodes, in one stream. */
export function logRoutes(app: Hono, backend: Backend): void {
  app.get("/services/:id/logs", async (c) => {
    const { value } = await backend.read((view) => {
      const { ID, Spec } = lookUp(view, "service", c.req.param("id"));
      return { id: ID, tty: Spec.TaskTemplate?.ContainerSpec?.TTY ?? false };
    });
    const tasks = (view: View) => [...view.tasksOfService(value.id)];
    return logs(c, backend, value.tty, {
      tasks,
      goesOn: (view) => view.get("service", value.id) !== undefined || tasks(view).length > 0,
    });
  });
  app.get("/tasks/:id/logs", async (c) => {
    const { value } = await backend.read((view) => lookUp(view, "task", c.req.param("id")));
    const tty = value.Spec.ContainerSpec?.TTY ?? false;
    const task = (view: View) => view.get("task", value.ID);
    return logs(c, backend, tty, {
      tasks: (view) => [task(view) ?? []].flat(),
      goesOn: (view) => !isTerminal(task(view)?.Status.State ?? "remove"),
    });
  });
}

/** A terminal's log has no frames. */
function logs(context: Context, backend: Backend, tty: boolean, selection: LogSelection): Response {
  const query = { ...queryOf(context), framed: !tty };
  const reader = readerOf(context);
  return new Response(reader.body(gatherLogs(backend, selection, query, reader.signal)), {
    headers: {
      // Frames have a type of their own since 1.42.
      "content-type": tty || !isAtLeast(context, "1.42")
        ? "application/vnd.docker.raw-stream"
        : "application/vnd.docker.multiplexed-stream",
      [STREAM_HEADER]: "1",
    },
  });
}

/** @throws FleetError invalid, as Docker says it */
function queryOf(context: Context): Omit<LogQuery, "framed"> {
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
