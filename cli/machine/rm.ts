import { FleetError } from "../../src/base/errors.ts";
import type { ApiNode } from "../api_types.ts";
import { ApiError, ConnectError } from "../client.ts";
import { confirm } from "../confirm.ts";
import { getNode, putNode } from "../node/shared.ts";
import { segment } from "../query.ts";
import { errorLine } from "../several.ts";
import { hostname } from "../upgrade/nodes.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { findMachine } from "./find.ts";
import { onMachine, SUDO } from "./ssh.ts";

interface Flags {
  readonly uninstall?: boolean;
  readonly force?: boolean;
  readonly yes?: boolean;
}

/** The managers agree on a demotion within a moment; a leader hands over first. */
const DEMOTE_TIMEOUT_MS = 60_000;
const POLL_MS = 200;

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<node>", "A node's name, or user@machine[:port] as ssh takes it")
      .flag("--uninstall", "Remove fleet and its data from it as well")
      .flag("-f, --force", "Forget it although it cannot be reached")
      .flag("-y, --yes", "Ask nothing")
      .addHelpText(
        "after",
        "\nTakes the machine out of its cluster, as a worker if it is a manager; its tasks are started\n" +
          "elsewhere, and the cluster forgets it.",
      )
      .examples("fleet machine rm root@192.168.10.7", "fleet machine rm --uninstall h3");
  },
  async run(context, [text = ""], { uninstall, force, yes }) {
    const { client, env, print, warn } = context;
    const { node, destination } = await findMachine(client, text);
    await confirm(env, `Take ${text} out of its cluster?`, yes);
    if (node?.Spec.Role === "manager") await demote(context, node);
    try {
      print((await onMachine(env, destination, `${SUDO}$sudo fleet leave --force`)).trim());
      if (uninstall) {
        await onMachine(
          env,
          destination,
          `${SUDO}$sudo sh -s -- --uninstall --purge --yes >&2`,
          await env.installScript(),
        );
        print("fleet is removed from it.");
      }
    } catch (error) {
      if (!force || !node) throw error;
      warn(`${errorLine(error)}; going on`);
    }
    if (!node) return warn('Forget it with "fleet node rm" once it is down.');
    try {
      await client.remove(`/nodes/${segment(node.ID)}`, { query: { force: true } });
      print(`${hostname(node)} is forgotten.`);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  },
};

/** A manager that only leaves would count against the majority for ever. @throws FleetError timeout */
async function demote({ client, env, warn }: VerbContext, { ID }: ApiNode): Promise<void> {
  const node = await getNode(client, ID);
  warn(`Making ${hostname(node)} a worker first …`);
  await putNode(client, node, { ...node.Spec, Role: "worker" });
  const deadline = env.now() + DEMOTE_TIMEOUT_MS;
  const isManager = () =>
    getNode(client, ID).then(({ ManagerStatus }) => ManagerStatus !== undefined, (error) => {
      // Where it led, nobody does for a moment.
      if (error instanceof ConnectError || (error instanceof ApiError && error.status >= 500)) {
        return true;
      }
      throw error;
    });
  while (await isManager()) {
    if (env.now() > deadline) {
      throw new FleetError("timeout", `${hostname(node)} is still a manager; try again`);
    }
    await env.sleep(POLL_MS);
  }
}
