import { FleetError } from "../../src/base/errors.ts";
import type { ApiSwarm } from "../api_types.ts";
import { choice } from "../spec/values.ts";
import { managerAddress } from "../swarm/join_command.ts";
import type { Verb } from "../verb.ts";
import { checkDestination, onMachine, SUDO, word } from "./ssh.ts";

interface Flags {
  readonly role?: "worker" | "manager";
  readonly advertiseAddr?: string;
  readonly from?: string;
  readonly noInstall?: boolean;
}

/** Read from the input, and put in place by one rename. */
const COPY = `${SUDO}set -e
new=$(mktemp); cat >"$new"
$sudo mkdir -p /usr/local/bin
$sudo install -m 755 "$new" /usr/local/bin/.fleet.new; rm -f "$new"
$sudo mv -f /usr/local/bin/.fleet.new /usr/local/bin/fleet`;

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<machine>", "user@machine[:port], as ssh takes it")
      .value("--role <word>", "worker (default) or manager", choice("worker", "manager"))
      .value("--advertise-addr <address>", "Address of the machine that other nodes use")
      .value(
        "--from <url>",
        "Release server to install from, as a service (default FLEET_RELEASES)",
      )
      .flag("--no-install", "fleet is there already: only join")
      .addHelpText(
        "after",
        "\nInstalls fleet there as a service from the release server; without one it copies this executable\n" +
          "and starts its agent. Then the machine joins. It takes root there, or sudo without a password.",
      )
      .examples(
        "fleet machine add root@192.168.10.7",
        "fleet machine add --role manager ann@node4",
      );
  },
  async run({ client, env, print, warn }, [machine = ""], flags) {
    checkDestination(machine);
    const role = flags.role ?? "worker";
    const { JoinTokens } = await client.get<ApiSwarm>("/swarm");
    const { address } = await managerAddress(client);
    const releases = flags.from ?? env.variable("FLEET_RELEASES");
    if (!flags.noInstall && releases) {
      warn(`Installing fleet on ${machine} from ${releases} …`);
      const url = word(`${releases.replace(/\/$/, "")}/install.sh`);
      await onMachine(env, machine, `${SUDO}curl -fsSL ${url} | $sudo sh -s -- --yes >&2`);
    } else if (!flags.noInstall) {
      const own = env.executable();
      if (own === undefined) {
        throw new FleetError(
          "unavailable",
          "this fleet runs from source: give --from or --no-install",
        );
      }
      warn(`Copying fleet to ${machine} …`);
      await onMachine(env, machine, COPY, await env.readFile(own));
    }
    warn(`Joining it as a ${role} …`);
    const token = role === "manager" ? JoinTokens.Manager : JoinTokens.Worker;
    const advertise = flags.advertiseAddr ? `--advertise-addr ${word(flags.advertiseAddr)} ` : "";
    // The token goes by the input: arguments can be read by everybody on the machine.
    const said = await onMachine(
      env,
      machine,
      `${SUDO}$sudo fleet join --token-file - ${advertise}${word(address)}`,
      new TextEncoder().encode(`${token}\n`),
    );
    print(said.trim());
  },
};
