import { NS_PER_MS } from "../../src/base/duration.ts";
import { FleetError, messageOf } from "../../src/base/errors.ts";
import type { ApiNode } from "../api_types.ts";
import { ApiError, ConnectError } from "../client.ts";
import type { Query } from "../client.ts";
import { confirm } from "../confirm.ts";
import type { CliEnvironment } from "../environment.ts";
import { settledNodes } from "../node/settled.ts";
import { EXIT, NotConvergedError } from "../exit_codes.ts";
import { parseNonNegativeDuration } from "../spec/values.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { askNode, hostname, upgradeOrder } from "./nodes.ts";
import type { About, Ask } from "./nodes.ts";
import { upgraded } from "./wait.ts";

interface Flags {
  readonly all?: boolean;
  readonly version?: string;
  readonly channel?: string;
  readonly from?: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly timeout?: number;
  readonly yes?: boolean;
}

const DEFAULT_TIMEOUT_MS = 180_000;
const POLL_MS = 500;
const WHEN_BACK =
  "run this again when every node is there, or remove those that are gone (fleet node rm)";

export const verb: Verb<Flags> = {
  define(command) {
    command
      .flag("--all", "Every node of the cluster, one after the other: workers first, leader last")
      .value("--version <version>", "This version instead of the channel's newest")
      .value("--channel <name>", "stable (default), or another channel of the release server")
      .value("--from <file|url>", "An executable or a release server (default FLEET_RELEASES)")
      .flag("--dry-run", "Say what would be done, and do nothing")
      .flag("--force", "Also to a version more than one minor apart")
      .value("--timeout <duration>", "For each node (default 3m)", parseNonNegativeDuration)
      .flag("-y, --yes", "Ask nothing")
      .addHelpText(
        "after",
        "\nEach node fetches the release itself, checks its checksum (and its signature, where install.sh\n" +
          "left a release key), and restarts its agent; containers go on running. A new version that has not\n" +
          "found the managers after three starts is put away and the old one comes back; then --all stops.\n" +
          "--all leaves with exit code 3 unless every node is known to run the version at the end.",
      )
      .examples(
        "fleet upgrade --all --dry-run",
        "fleet upgrade --all",
        "fleet upgrade --from /root/fleet-linux-x86_64",
      );
  },
  async run(context, _args, flags) {
    const query = {
      source: flags.from,
      version: flags.version,
      channel: flags.channel,
      force: flags.force,
    };
    return await (flags.all
      ? upgradeAll(context, flags, query)
      : upgradeHere(context, flags, query));
  },
};

async function upgradeHere({ client, env, print }: VerbContext, flags: Flags, query: Query) {
  const here = askNode(client, undefined);
  const plan = await here.upgrade({ ...query, check: true });
  print(
    `This node runs fleet ${plan.From}; ${
      plan.To ? `${plan.To} is offered` : "a file is offered"
    }.`,
  );
  if (plan.From === plan.To) return print("It is up to date.");
  if (flags.dryRun) return print("Nothing was changed.");
  await confirm(env, "Upgrade it now? Containers go on running.", flags.yes);
  const { From, To } = await here.upgrade(query);
  await upgraded(env, here, { name: "this node", to: To, timeoutMs: timeoutOf(flags) });
  print(`Upgraded: ${From} -> ${To}`);
}

async function upgradeAll(context: VerbContext, flags: Flags, query: Query) {
  const { client, env, print, warn } = context;
  const nodes = upgradeOrder(await settledNodes(context));
  const { To: target } = await askNode(client, undefined).upgrade({ ...query, check: true });
  const width = Math.max(...nodes.map((node) => hostname(node).length));
  const todo: ApiNode[] = [];
  const away: string[] = [];
  for (const node of nodes) {
    const role = node.ManagerStatus?.Leader ? "leader" : node.ManagerStatus ? "manager" : "worker";
    const about = node.Status.State === "ready"
      ? await answers(env, askNode(client, node.ID))
      : undefined;
    if (!about) away.push(hostname(node));
    else if (about.Version !== target || about.Trial) todo.push(node);
    const state = !about
      ? node.Status.State === "ready" ? "does not answer" : node.Status.State
      : about.Version !== target
      ? `${about.Version} -> ${target || "the file"}`
      : `${about.Version}, ${about.Trial ? "on trial" : "up to date"}`;
    print(`${hostname(node).padEnd(width)}  ${role.padEnd(7)}  ${state}`);
  }
  const unknown = away.join(", ");
  if (todo.length === 0 && away.length > 0) {
    throw new NotConvergedError(
      `nothing to do, but the version of ${unknown} is not known: ${WHEN_BACK}`,
    );
  }
  if (todo.length === 0) return print("\nEvery node is up to date.");
  if (away.length > 0) print(`\nNot there, and left as they are: ${unknown}.`);
  if (flags.dryRun) return print("\nNothing was changed.");
  await confirm(env, "\nUpgrade them in this order? Containers go on running.", flags.yes);
  for (const [i, node] of todo.entries()) {
    const name = hostname(node);
    const timeoutMs = timeoutOf(flags);
    const rest = todo.slice(i + 1).map(hostname);
    const untouched = rest.length > 0 ? ` Not touched: ${rest.join(", ")}.` : "";
    const again = "Run this again, on any manager: it goes on where it was.";
    const ignore = env.onInterrupt(() => {
      warn(`\nInterrupted: ${name} finishes by itself.${untouched} ${again}`);
      env.exit(EXIT.failed);
    });
    try {
      await quorumWithout(context, node, timeoutMs);
      const { from, to } = await begin(askNode(client, node.ID), query, target);
      await upgraded(env, askNode(client, node.ID), { name, to, timeoutMs });
      print(from === to ? `${name}: ${to}` : `${name}: ${from} -> ${to}`);
    } catch (error) {
      const said = `${messageOf(error)}.${untouched} `;
      if (error instanceof NotConvergedError) {
        throw new NotConvergedError(`${said}Both versions work together.`);
      }
      throw new FleetError("unavailable", `${name}: ${said}${again}`, { cause: error });
    } finally {
      ignore();
    }
  }
  if (away.length > 0) {
    throw new NotConvergedError(
      `done, except ${unknown}, whose version is not known: ${WHEN_BACK}`,
    );
  }
  print("\nAll done.");
}

/** A node that restarts, perhaps by an upgrade before this one, answers within this time. */
const ANSWER_MS = 30_000;

/** What a node says of itself; undefined when it does not in time. */
async function answers(env: CliEnvironment, ask: Ask): Promise<About | undefined> {
  const deadline = env.now() + ANSWER_MS;
  while (true) {
    const about = await ask.about().catch(noAnswer);
    if (about || env.now() > deadline) return about;
    await env.sleep(POLL_MS);
  }
}

/**
 * Has a node begin, unless it has: whoever asked it before may be gone, or the answer was lost on its way.
 * @throws the refusal
 */
async function begin(ask: Ask, query: Query, target: string) {
  const started = async () => {
    const about = await ask.about().catch(noAnswer);
    return target !== "" && about?.Version === target ? { from: target, to: target } : undefined;
  };
  const before = await started();
  if (before) return before;
  try {
    const { From, To } = await ask.upgrade(query);
    return { from: From, to: To };
  } catch (error) {
    const busy = error instanceof ApiError && error.status === 409 && target !== "";
    const after = busy ? { from: target, to: target } : await started();
    if (after) return after;
    throw error;
  }
}

/** Nobody answers while a node, or the leader between it and us, restarts. */
function noAnswer(error: unknown): undefined {
  if (error instanceof ApiError || error instanceof ConnectError) return undefined;
  throw error;
}

const timeoutOf = ({ timeout }: Flags): number =>
  timeout === undefined ? DEFAULT_TIMEOUT_MS : timeout / NS_PER_MS;

/** A manager is taken away for some seconds only while the others are a majority; waits for that. */
async function quorumWithout(
  { client, env }: VerbContext,
  node: ApiNode,
  timeoutMs: number,
): Promise<void> {
  if (!node.ManagerStatus) return;
  const deadline = env.now() + timeoutMs;
  while (env.now() < deadline) {
    const managers = (await client.get<ApiNode[]>("/nodes").catch(() => []))
      .filter(({ ManagerStatus }) => ManagerStatus);
    const others = managers.filter(({ ID, ManagerStatus }) =>
      ID !== node.ID && ManagerStatus!.Reachability === "reachable"
    ).length;
    // One manager alone, or two, cannot be restarted without a gap; it is short, and nothing helps it.
    const unavoidable = managers.length === 1 || managers.length === 2;
    if (unavoidable || others > managers.length / 2) {
      return;
    }
    await env.sleep(POLL_MS);
  }
  throw new FleetError(
    "unavailable",
    `${hostname(node)} is needed for a majority of the managers: bring the others back first`,
  );
}
