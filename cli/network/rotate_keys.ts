import type { Verb } from "../verb.ts";

export const verb: Verb = {
  define(command) {
    command.addHelpText(
      "after",
      "\nKeys of encrypted networks change by themselves every 12 hours; this does it at once, for\n" +
        "example after a node was lost. No connection notices.",
    ).examples("fleet network rotate-keys");
  },
  async run({ client, print }) {
    await client.request("POST", "/fleet/network-keys/rotate");
    print("The keys of encrypted networks were rotated.");
  },
};
