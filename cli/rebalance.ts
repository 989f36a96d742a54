import type { RebalanceRequest } from "../src/model/cluster.ts";
import type { FleetCommand } from "./fleet_command.ts";
import { settledNodes } from "./node/settled.ts";
import { renderTable } from "./render/table.ts";
import type { VerbContext } from "./verb.ts";

export interface RebalanceFlags {
  readonly dryRun?: boolean;
  readonly detach?: boolean;
}

interface Move {
  readonly Name: string;
  readonly From: { readonly Name: string };
  readonly To: { readonly Name: string };
  readonly Why: string;
}

/** Time between two looks at what is left to move. */
const POLL_MS = 500;

export function addRebalanceFlags(command: FleetCommand): FleetCommand {
  return command
    .flag("--dry-run", "Only show what would move, and why")
    .flag("-d, --detach", "Do not wait until all have moved");
}

/**
 * Shows what moves for an even spread of a service (all without), to a node (any without), and has it
 * done. Ctrl-C ends the wait, not the moves.
 */
export async function rebalance(
  context: VerbContext,
  scope: { readonly service?: string; readonly node?: string },
  flags: RebalanceFlags,
): Promise<void> {
  const { client, env, print } = context;
  // A plan for some of the nodes would be another one.
  await settledNodes(context);
  if (flags.dryRun) {
    const query = {
      ...(scope.service ? { service: scope.service } : {}),
      ...(scope.node ? { node: scope.node } : {}),
    };
    const plan = await client.get<Move[]>("/fleet/rebalance/plan", { query });
    return show(context, plan);
  }
  const { ID, Plan, MovesPerMinute } = await client.post<
    { ID: string; Plan: Move[]; MovesPerMinute: number }
  >("/fleet/rebalance", {
    body: {
      ...(scope.service ? { Service: scope.service } : {}),
      ...(scope.node ? { Node: scope.node } : {}),
    },
  });
  show(context, Plan);
  if (flags.detach || Plan.length === 0) return;
  env.stdout.write(
    `Moving, ${MovesPerMinute} a minute at most, each new task before the old one.\n`,
  );
  const controller = new AbortController();
  const stopListening = env.onInterrupt(() => controller.abort());
  try {
    const open = async () =>
      (await client.get<RebalanceRequest[]>("/fleet/rebalance", { signal: controller.signal }))
        .some((request) => request.ID === ID);
    while (await open()) await env.sleep(POLL_MS, controller.signal);
    print("Done.");
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    print("It goes on in the background.");
  } finally {
    stopListening();
  }
}

function show({ env, print }: VerbContext, plan: readonly Move[]): void {
  if (plan.length === 0) {
    return print("Nothing to move: the spread is even, or tasks move already.");
  }
  env.stdout.write(renderTable([
    ["TASK", "FROM", "TO", "WHY"],
    ...plan.map((move) => [move.Name, move.From.Name, move.To.Name, move.Why]),
  ]));
}
