import { FleetError } from "../../src/base/errors.ts";
import type { ApiSwarm } from "../api_types.ts";
import { ApiError } from "../client.ts";
import { getNode, putNode } from "../node/shared.ts";
import { choice } from "../spec/values.ts";
import { managerAddress } from "../swarm/join_command.ts";
import { hostname } from "../upgrade/nodes.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { checkDestination, onMachine, SSH_LABEL, SUDO, word } from "./ssh.ts";

interface Flags {
  readonly role?: "worker" | "manager";
  readonly advertiseAddr?: string;
  readonly from?: string;
  readonly noInstall?: boolean;
}

/** The managers know a node once it has its certificate, and its name after its first session. */
const KNOWN_TIMEOUT_MS = 30_000;
const POLL_MS = 200;

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<machine>", "user@machine[:port], as ssh takes it")
      .value("--role <word>", "worker (default) or manager", choice("worker", "manager"))
      .value("--advertise-addr <address>", "Address of the machine that other nodes use")
      .value(
        "--from <url>",
        "Release server to install from (default FLEET_RELEASES, else this very executable)",
      )
      .flag("--no-install", "fleet is there already: only join")
      .addHelpText(
        "after",
        "\nInstalls fleet there as a service, with Docker where it is missing; then the machine joins. It\n" +
          `takes root there, or sudo without a password. The node's label ${SSH_LABEL} keeps the way to it.`,
      )
      .examples(
        "fleet machine add root@192.168.10.7",
        "fleet machine add --role manager ann@node4:2222",
      );
  },
  async run(context, [machine = ""], flags) {
    const { client, env, print, warn } = context;
    checkDestination(machine);
    const role = flags.role ?? "worker";
    const { JoinTokens } = await client.get<ApiSwarm>("/swarm");
    const { address } = await managerAddress(client);
    if (!flags.noInstall) await install(context, machine, flags.from);
    warn(`Joining it as a ${role} …`);
    const token = role === "manager" ? JoinTokens.Manager : JoinTokens.Worker;
    const advertise = flags.advertiseAddr ? `--advertise-addr ${word(flags.advertiseAddr)} ` : "";
    // The token goes by the input: arguments can be read by everybody on the machine.
    const said = await onMachine(
      env,
      machine,
      `${SUDO}$sudo fleet join --token-file - ${advertise}${word(address)} && ` +
        "$sudo fleet info --format 'node={{.Swarm.NodeID}}'",
      new TextEncoder().encode(`${token}\n`),
    );
    const id = /^node=(\w+)$/m.exec(said)?.[1];
    print(said.replace(/^node=.*$/m, "").trim());
    if (id) print(`${await remember(context, id, machine)} is ${machine}`);
  },
};

async function install(
  { env, warn }: VerbContext,
  machine: string,
  from: string | undefined,
): Promise<void> {
  const releases = (from ?? env.variable("FLEET_RELEASES"))?.replace(/\/$/, "");
  if (releases) {
    warn(`Installing fleet on ${machine} from ${releases} …`);
    const script = `curl -fsSL ${word(`${releases}/channels/install.sh`)}`;
    await onMachine(
      env,
      machine,
      `${SUDO}set -e; script=$(${script}); printf '%s\\n' "$script" | $sudo env FLEET_RELEASES=${
        word(releases)
      } sh -s -- --yes >&2`,
    );
    return;
  }
  const own = env.executable();
  if (own === undefined) {
    throw new FleetError("unavailable", "this fleet runs from source: give --from or --no-install");
  }
  warn(`Installing this fleet on ${machine} …`);
  const executable = await env.readFile(own);
  const digest = await crypto.subtle.digest("SHA-256", executable as Uint8Array<ArrayBuffer>);
  const sum = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  const script = new TextDecoder().decode(await env.installScript());
  await onMachine(
    env,
    machine,
    `${SUDO}set -e
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cat >"$folder/fleet"
echo '${sum}  fleet' >"$folder/fleet.sha256"
cat >"$folder/install.sh" <<'END OF install.sh'
${script.trimEnd()}
END OF install.sh
$sudo sh "$folder/install.sh" --yes --from "$folder/fleet" >&2`,
    executable,
  );
}

/** Writes down at the node how ssh reaches it; its name. */
async function remember(
  { client, env }: VerbContext,
  id: string,
  machine: string,
): Promise<string> {
  const deadline = env.now() + KNOWN_TIMEOUT_MS;
  for (;; await env.sleep(POLL_MS)) {
    const late = env.now() > deadline;
    try {
      const node = await getNode(client, id);
      // It tells its name in its first session.
      if (!late && !node.Spec.Name && !node.Description?.Hostname) continue;
      const Labels = { ...node.Spec.Labels, [SSH_LABEL]: machine };
      await putNode(client, node, { ...node.Spec, Labels });
      return hostname(node);
    } catch (error) {
      // Not known yet, or changed meanwhile by its own first words.
      if (!(error instanceof ApiError) || late) throw error;
    }
  }
}
