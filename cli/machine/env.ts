import type { Verb } from "../verb.ts";
import { findMachine } from "./find.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<node>", "A node's name, or user@machine[:port] as ssh takes it")
      .addHelpText("after", "\nPrints what points fleet at the machine's agent, over SSH.")
      .examples('eval "$(fleet machine env root@192.168.10.7)"', 'eval "$(fleet machine env h2)"');
  },
  async run({ client, print }, [machine = ""]) {
    print(`export FLEET_HOST=ssh://${(await findMachine(client, machine)).destination}`);
  },
};
