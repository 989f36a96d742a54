import type { Verb } from "../verb.ts";
import { checkDestination } from "./ssh.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<machine>", "user@machine[:port], as ssh takes it")
      .addHelpText("after", "\nPrints what points fleet at the machine's agent, over SSH.")
      .examples('eval "$(fleet machine env root@192.168.10.7)"');
  },
  run({ print }, [machine = ""]) {
    checkDestination(machine);
    print(`export FLEET_HOST=ssh://${machine}`);
    return Promise.resolve();
  },
};
