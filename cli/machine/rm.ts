import { confirm } from "../confirm.ts";
import type { Verb } from "../verb.ts";
import { checkDestination, onMachine, SUDO } from "./ssh.ts";

interface Flags {
  readonly uninstall?: boolean;
  readonly yes?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<machine>", "user@machine[:port], as ssh takes it")
      .flag("--uninstall", "Stop its service and remove fleet from it as well")
      .flag("-y, --yes", "Ask nothing")
      .addHelpText(
        "after",
        "\nTakes the machine out of its cluster; its tasks are started elsewhere.",
      )
      .examples("fleet machine rm root@192.168.10.7");
  },
  async run({ env, print, warn }, [machine = ""], { uninstall, yes }) {
    checkDestination(machine);
    await confirm(env, `Take ${machine} out of its cluster?`, yes);
    print((await onMachine(env, machine, `${SUDO}$sudo fleet leave --force`)).trim());
    if (uninstall) {
      const stop = "$sudo systemctl disable --now fleet 2>/dev/null || true";
      await onMachine(env, machine, `${SUDO}${stop}; $sudo rm -f /usr/local/bin/fleet`);
      print("fleet is removed from it.");
    }
    warn('Forget it with "fleet node rm" once it is down.');
  },
};
