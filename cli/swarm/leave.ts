import { confirmOnTerminal } from "../confirm.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb<{ readonly force?: boolean; readonly yes?: boolean }> = {
  define(command) {
    command.flag("-f, --force", "Leave although this node is a manager")
      .flag("-y, --yes", "Ask nothing")
      .examples("fleet leave", "fleet leave --force");
  },
  async run({ client, env, print }, _args, { force, yes }) {
    if (force) {
      const question =
        "Leave by force? What only this node knows of the cluster is lost, and its tasks stop.";
      await confirmOnTerminal(env, question, yes);
    }
    await client.post("/swarm/leave", { query: { force: force ? true : undefined } });
    print("Node left the swarm.");
  },
};
