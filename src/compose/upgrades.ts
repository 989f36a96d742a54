import type { AgentOptions, BuildInfo } from "../../cli/environment.ts";
import { Upgrader } from "../adapters/upgrade/upgrader.ts";
import type { Logger } from "../base/log.ts";
import type { FleetNode } from "../roles/node/fleet_node.ts";
import { ownCommand } from "./cli_environment.ts";

/** A new executable that has no session with the managers by then is not what it should be. */
const TRIAL_MS = 60_000;

export function agentUpgrader(
  options: AgentOptions,
  build: BuildInfo,
  logger: Logger,
  stop: () => void,
): Upgrader {
  const { command, args } = ownCommand();
  return new Upgrader({
    executable: args.length === 0 ? command : undefined,
    agentArgs: Deno.args.slice(Deno.args.indexOf("agent") + 1),
    dataDir: options.dataDir,
    version: build.version,
    variable: (name) => Deno.env.get(name),
    logger,
    stop,
  });
}

/**
 * A node in a cluster has proven itself with its first session; one in none, by serving its API. Calls
 * `fail` when it did not in time. The function returned forgets the trial.
 */
export function beginTrial(
  upgrader: Upgrader,
  node: FleetNode,
  logger: Logger,
  fail: () => void,
): () => void {
  if (!upgrader.state().trial) return () => {};
  const { state } = node.localState();
  if (state === "inactive" || state === "locked") upgrader.confirm();
  const timer = setTimeout(() => {
    if (!upgrader.state().trial) return;
    logger.log("error", "this new version found no manager: stopping, to go back to the last one");
    fail();
  }, TRIAL_MS);
  return () => clearTimeout(timer);
}
