import type { ApiConfig, ApiNetwork, ApiSecret, ApiService, ApiTask } from "../api_types.ts";
import { parseDuration } from "../../src/base/duration.ts";
import { FleetError } from "../../src/base/errors.ts";
import { ApiError, ConnectError } from "../client.ts";
import { confirmOnTerminal } from "../confirm.ts";
import { EXIT } from "../exit_codes.ts";
import { filtersText, segment } from "../query.ts";
import { errorLine } from "../several.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { stackFilter } from "./observe.ts";

interface Flags {
  readonly detach?: boolean;
  readonly timeout?: number;
  readonly yes?: boolean;
}

const POLL_MS = 300;
const DEFAULT_TIMEOUT_NS = 120 * 1e9;
/** States in which a task has nothing on its node any more. */
const ENDED = ["complete", "shutdown", "failed", "rejected", "orphaned", "remove"];

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<stack...>", "Names")
      .flag("-d, --detach", "Do not wait until tasks and networks are gone")
      .value("--timeout <duration>", "Time to wait (default 2m)", parseDuration)
      .flag("-y, --yes", "Ask nothing")
      .examples("fleet stack rm shop");
  },
  async run(context, stacks, flags) {
    const question = `Remove ${
      stacks.join(", ")
    } with all services, networks, secrets and configs of it?`;
    await confirmOnTerminal(context.env, question, flags.yes);
    let failed = false;
    for (const stack of stacks) {
      const ok = await removeStack(context, stack);
      failed ||= !ok;
      if (ok && !flags.detach) {
        await waitUntilGone(context, stack, (flags.timeout ?? DEFAULT_TIMEOUT_NS) / 1e6);
      }
    }
    return failed ? EXIT.failed : EXIT.ok;
  },
};

async function removeStack(context: VerbContext, stack: string): Promise<boolean> {
  const { client } = context;
  const query = { filters: filtersText([], stackFilter(stack)) };
  const [services, secrets, configs, networks] = await Promise.all([
    client.get<ApiService[]>("/services", { query }),
    client.get<ApiSecret[]>("/secrets", { query }),
    client.get<ApiConfig[]>("/configs", { query }),
    client.get<ApiNetwork[]>("/networks", { query }),
  ]);
  const named = (kind: string, objects: readonly (ApiService | ApiSecret | ApiConfig)[]) =>
    objects.map(({ ID, Spec }) => ({ kind, id: ID, name: Spec.Name ?? ID }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  const all = [
    ...named("service", services),
    ...named("secret", secrets),
    ...named("config", configs),
    ...networks.filter(({ Scope }) => Scope === "swarm")
      .map(({ Id, Name }) => ({ kind: "network", id: Id, name: Name })),
  ];
  if (all.length === 0) context.warn(`Nothing found in stack: ${stack}`);
  let ok = true;
  for (const { kind, id, name } of all) {
    context.print(`Removing ${kind} ${name}`);
    try {
      await client.remove(`/${kind}s/${segment(id)}`);
    } catch (error) {
      if (error instanceof ConnectError) throw error;
      // Somebody else was faster: it is gone.
      if (error instanceof ApiError && error.status === 404) continue;
      context.warn(`Failed to remove ${kind} ${name}: ${errorLine(error)}`);
      ok = false;
    }
  }
  return ok;
}

async function waitUntilGone(
  { client, env }: VerbContext,
  stack: string,
  timeoutMs: number,
): Promise<void> {
  const query = { filters: filtersText([], stackFilter(stack)) };
  const controller = new AbortController();
  const stopListening = env.onInterrupt(() => controller.abort());
  const until = env.now() + timeoutMs;
  try {
    for (;;) {
      const [tasks, networks] = await Promise.all([
        client.get<ApiTask[]>("/tasks", { query, signal: controller.signal }),
        client.get<ApiNetwork[]>("/networks", { query, signal: controller.signal }),
      ]);
      const live = tasks.filter((task) => !ENDED.includes(task.Status.State));
      const left = networks.filter(({ Scope }) => Scope === "swarm");
      if (live.length === 0 && left.length === 0) return;
      if (env.now() >= until) {
        const what = [
          ...live.map((task) => `task ${task.ID} (${task.Status.State})`),
          ...left.map(({ Name }) => `network ${Name}`),
        ];
        throw new FleetError("timeout", `still there after the wait: ${what.join(", ")}`);
      }
      await env.sleep(POLL_MS, controller.signal);
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    stopListening();
  }
}
