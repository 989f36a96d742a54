import { FleetError } from "../../src/base/errors.ts";
import type { ApiService, ApiTask } from "../api_types.ts";
import { ApiError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import type { OutputStream } from "../environment.ts";
import { segment } from "../query.ts";
import { readLogBatches } from "../render/log_frames.ts";
import type { LogFrame } from "../render/log_frames.ts";
import { parseLogLine } from "../render/log_line.ts";
import { shortId } from "../render/text.ts";
import type { Names } from "../render/tasks.ts";
import { fetchNames } from "../tasks.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { sinceText } from "../since.ts";

interface Flags {
  readonly follow?: boolean;
  readonly since?: string;
  readonly tail?: string;
  readonly timestamps?: boolean;
  readonly details?: boolean;
  readonly raw?: boolean;
  readonly noTrunc?: boolean;
  readonly noResolve?: boolean;
  readonly noTaskIds?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.usage("[options] SERVICE|TASK").argument("<service>", "Service or task")
      .flag("-f, --follow", "Go on with new lines")
      .value("--since <time>", "From this time on (2026-01-02T03:04:05Z) or this long ago (42m)")
      .value("-n, --tail <lines>", "Last lines of each task (default all)")
      .flag("-t, --timestamps", "Show the time of each line")
      .flag("--details", "Show the details that log drivers add")
      .flag("--raw", "Do not show where lines come from")
      .flag("--no-trunc", "Show ids in full")
      .flag("--no-resolve", "Show ids instead of names")
      .flag("--no-task-ids", "Leave the task's id out")
      .examples("fleet service logs --follow --tail 20 web");
  },
  async run(context, [reference = ""], flags) {
    const { client, env } = context;
    const source = await findSource(client, reference);
    if (source.tty && !flags.raw) {
      throw new FleetError("invalid", "tasks with a TTY have raw logs only: use --raw");
    }
    const controller = new AbortController();
    const stop = env.onInterrupt(() => controller.abort());
    try {
      const response = await client.request("GET", `${source.path}/logs`, {
        query: {
          stdout: true,
          stderr: true,
          follow: flags.follow,
          since: flags.since === undefined ? undefined : sinceText(flags.since, env.now()),
          timestamps: flags.timestamps,
          tail: flags.tail,
          // A terminal's lines are shown as they come: nothing is cut from them.
          details: !source.tty || flags.details,
        },
        signal: controller.signal,
      });
      const body = response.body ?? new ReadableStream<Uint8Array>({ start: (c) => c.close() });
      if (source.tty) {
        for await (const chunk of body) env.stdout.writeBytes(chunk);
        return EXIT.ok;
      }
      const names = flags.raw || flags.noResolve ? NO_NAMES : await fetchNames(client);
      return await printFrames(context, readLogBatches(body), flags, names);
    } catch (error) {
      if (controller.signal.aborted) return EXIT.ok;
      // The service itself was found: what is missing is the route.
      if (error instanceof ApiError && error.status === 404) {
        throw new FleetError("unimplemented", `the agent at ${client.host} serves no service logs`);
      }
      throw error;
    } finally {
      stop();
    }
  },
};

const NO_NAMES: Names = { service: (id) => id, node: (id) => id };

async function findSource(
  client: ApiClient,
  reference: string,
): Promise<{ path: string; tty: boolean }> {
  try {
    const service = await client.get<ApiService>(`/services/${segment(reference)}`);
    const tty = service.Spec.TaskTemplate?.ContainerSpec?.TTY ?? false;
    return { path: `/services/${segment(service.ID)}`, tty };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
  try {
    const task = await client.get<ApiTask>(`/tasks/${segment(reference)}`);
    return { path: `/tasks/${segment(task.ID)}`, tty: task.Spec.ContainerSpec?.TTY ?? false };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new FleetError("not-found", `no such task or service: ${reference}`);
  }
}

/** `service.slot` of a task, fetched once each; the service's name where the task is gone. */
function placeFinder(client: ApiClient, names: Names) {
  const places = new Map<string, string>();
  return async (taskId: string, serviceId: string): Promise<string> => {
    let place = places.get(taskId);
    if (place === undefined) {
      const service = names.service(serviceId);
      try {
        const task = await client.get<ApiTask>(`/tasks/${segment(taskId)}`);
        place = `${service}.${task.Slot || task.NodeID}`;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        place = service;
      }
      places.set(taskId, place);
    }
    return place;
  };
}

async function printFrames(
  { env, client }: VerbContext,
  batches: AsyncIterable<readonly LogFrame[]>,
  flags: Flags,
  names: Names,
): Promise<number> {
  const decoder = new TextDecoder();
  const placeOf = placeFinder(client, names);
  const { write, flush } = joinedOutput();
  let width = 0;
  let failed = false;
  for await (const frames of batches) {
    for (const frame of frames) {
      const text = decoder.decode(frame.payload);
      if (frame.stream === "error") {
        write(env.stderr, text.endsWith("\n") ? text : `${text}\n`);
        failed = true;
        continue;
      }
      const line = parseLogLine(text, flags.timestamps === true);
      let out = line.timestamp === "" ? "" : `${line.timestamp} `;
      if (!flags.raw) {
        const { taskId, nodeId, serviceId } = line.context;
        const id = flags.noTrunc ? taskId : shortId(taskId);
        const place = await placeOf(taskId, serviceId);
        const origin = `${place}${flags.noTaskIds ? "" : `.${id}`}@${names.node(nodeId)}`;
        width = Math.max(width, origin.length);
        out += `${origin.padEnd(width)}    | `;
      }
      if (flags.details && line.details !== "") out += `${line.details} `;
      const stream = frame.stream === "stderr" ? env.stderr : env.stdout;
      write(stream, out + line.text + (line.text.endsWith("\n") ? "" : "\n"));
    }
    flush();
  }
  return failed ? EXIT.failed : EXIT.ok;
}

/** Joins what goes to one stream into one write, and keeps the order of two. */
function joinedOutput() {
  let to: OutputStream | undefined;
  let text = "";
  const flush = () => {
    if (text !== "") to?.write(text);
    text = "";
  };
  const write = (stream: OutputStream, more: string) => {
    if (stream !== to) flush();
    to = stream;
    text += more;
  };
  return { write, flush };
}
