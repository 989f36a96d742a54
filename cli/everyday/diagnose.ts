import type { ApiService, ApiTask } from "../api_types.ts";
import { ApiError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import { filtersText, segment } from "../query.ts";
import { Blocks } from "../render/blocks.ts";
import { readLogFrames } from "../render/log_frames.ts";
import { renderTasks } from "../render/tasks.ts";
import { parseUint } from "../spec/values.ts";
import { fetchNames } from "../tasks.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { masked } from "./list.ts";
import { chosenServices } from "./services.ts";

const DEFAULT_LINES = 20;

interface ContainerJson {
  readonly State?: {
    readonly Status?: string;
    readonly ExitCode?: number;
    readonly OOMKilled?: boolean;
    readonly Health?: {
      readonly Status?: string;
      readonly Log?: readonly { readonly ExitCode?: number; readonly Output?: string }[] | null;
    };
  };
}

export const verb: Verb<{ readonly lines?: number }> = {
  define(command) {
    command.argument("<service>", "Name or id")
      .value("-n, --lines <uint>", `Last lines of its log (default ${DEFAULT_LINES})`, parseUint)
      .addHelpText(
        "after",
        "\nShows what one looks at first: the tasks and why they ended, the last health check, the\n" +
          "environment with secrets masked, ports, and the end of the log.",
      )
      .examples("fleet diagnose web");
  },
  async run(context, [reference = ""], { lines = DEFAULT_LINES }) {
    const { client, env, print } = context;
    const [service] = await chosenServices(client, [reference], false);
    const { ID, Spec, Endpoint } = service!;
    const [tasks, names] = await Promise.all([
      client.get<ApiTask[]>("/tasks", { query: { filters: filtersText([], { service: [ID] }) } }),
      fetchNames(client),
    ]);
    const ports = (Endpoint?.Ports ?? []).map((port) =>
      `*:${port.PublishedPort ?? ""}->${port.TargetPort}/${port.Protocol ?? "tcp"}`
    );
    const summary = new Blocks().line("Service", Spec.Name)
      .line("Image", Spec.TaskTemplate?.ContainerSpec?.Image)
      .line("Update", service!.UpdateStatus?.Message)
      .line("Ports", ports.join(", "))
      .block("Environment", (block) => {
        for (const entry of Spec.TaskTemplate?.ContainerSpec?.Env ?? []) block.text(masked(entry));
      });
    env.stdout.write(`${summary}\nTasks\n`);
    env.stdout.write(renderTasks(tasks, names, env.now(), { noTrunc: false }));
    const reasons = reasonsOf(tasks);
    if (reasons.length > 0) env.stdout.write(`\nReasons\n${reasons.join("")}`);
    for (const line of await health(client, tasks)) print(line);
    if (lines > 0) await showLogs(context, service!, lines);
    return EXIT.ok;
  },
};

/** Each reason once, in full, newest first. */
function reasonsOf(tasks: readonly ApiTask[]): string[] {
  const sorted = tasks.toSorted((a, b) => a.CreatedAt < b.CreatedAt ? 1 : -1);
  return [...new Set(sorted.flatMap(({ Status }) => Status?.Err ? [`  ${Status.Err}\n`] : []))];
}

/** What the engine last saw of each task that has a container and should run. */
async function health(client: ApiClient, tasks: readonly ApiTask[]): Promise<string[]> {
  const found: string[] = [];
  for (const { Status, DesiredState } of tasks) {
    const id = Status?.ContainerStatus?.ContainerID;
    if (!id || DesiredState !== "running") continue;
    try {
      const { State } = await client.get<ContainerJson>(`/containers/${segment(id)}/json`);
      if (State?.OOMKilled) found.push(`Container ${id.slice(0, 12)} ran out of memory.`);
      const last = State?.Health?.Log?.at(-1);
      if (!State?.Health || !last) continue;
      found.push(
        "",
        `Health of ${
          id.slice(0, 12)
        }: ${State.Health.Status}, last check ended with ${last.ExitCode}`,
        ...(last.Output ?? "").trimEnd().split("\n").map((line) => `  ${line}`),
      );
    } catch (error) {
      // A container that went meanwhile, or a node that does not answer, has no health to show.
      if (!(error instanceof ApiError)) throw error;
    }
  }
  return found;
}

async function showLogs(
  { client, env }: VerbContext,
  service: ApiService,
  lines: number,
): Promise<void> {
  const query = { stdout: true, stderr: true, tail: lines };
  const response = await client.request("GET", `/services/${segment(service.ID)}/logs`, { query });
  env.stdout.write(`\nLast lines\n`);
  if (!response.body) return;
  if (service.Spec.TaskTemplate?.ContainerSpec?.TTY) {
    for await (const chunk of response.body) env.stdout.writeBytes(chunk);
    return;
  }
  const decoder = new TextDecoder();
  for await (const { stream, payload } of readLogFrames(response.body)) {
    const text = decoder.decode(payload).trimEnd();
    if (stream === "error") env.stderr.write(`${text}\n`);
    else env.stdout.write(`  ${text}\n`);
  }
}
