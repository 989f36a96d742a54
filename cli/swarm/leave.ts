import type { Verb } from "../verb.ts";

export const verb: Verb<{ readonly force?: boolean }> = {
  define(command) {
    command.flag("-f, --force", "Leave although this node is a manager")
      .examples("fleet leave", "fleet leave --force");
  },
  async run({ client, print }, _args, { force }) {
    await client.post("/swarm/leave", { query: { force: force ? true : undefined } });
    print("Node left the swarm.");
  },
};
