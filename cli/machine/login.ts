import { FleetError } from "../../src/base/errors.ts";
import type { ApiInfo } from "../api_types.ts";
import type { SshLogin } from "../environment.ts";
import { getNode } from "../node/shared.ts";
import { parseUint } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { parseDestination, SSH_LABEL, sshOf } from "./ssh.ts";

interface Flags {
  readonly user?: string;
  readonly port?: number;
  readonly tty?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.usage("[options] NODE [--] [COMMAND [ARG...]]").endFlagsAfterFirstArgument()
      .argument("<node>", "Name or id of a node, or self")
      .argument("[command...]", "Command and its arguments; a login shell without")
      .value("-l, --user <user>", "Log in as this user")
      .value("-p, --port <uint>", "Port of its SSH server", parseUint)
      .flag("-t, --tty", "Give the command a terminal")
      .addHelpText(
        "after",
        `\nBy OpenSSH, with its keys and settings: as the node was added by fleet machine add (its label\n` +
          `${SSH_LABEL} says user@machine:port), else at its address. When fleet itself talks over ssh://, the\n` +
          "way goes through that machine. A command's words are joined and read by the shell there.",
      )
      .examples(
        "fleet ssh h2",
        "fleet ssh h2 -- df -h /var/lib/docker",
        `fleet node update --label-add ${SSH_LABEL}=ann@192.168.10.7:2222 h2`,
      );
  },
  /** Resolves to the exit code of ssh, which is the command's. */
  async run({ client, env, via }, [reference = "", ...words], { user, port, tty }) {
    const command = words[0] === "--" ? words.slice(1) : words;
    const node = await getNode(client, reference);
    const asked = via === undefined ? undefined : await client.get<ApiInfo>("/info");
    // The machine that is asked is reached as it is.
    const itself = asked?.Swarm?.NodeID === node.ID;
    const known = itself ? via : sshOf(node);
    const address = node.Status.Addr;
    if (known === undefined && !address) {
      throw new FleetError(
        "not-found",
        `nothing says how ssh reaches ${reference}: fleet node update --label-add ${SSH_LABEL}=user@machine ${reference}`,
      );
    }
    const login: SshLogin = {
      ...(known === undefined ? { host: address! } : parseDestination(known)),
      ...(via === undefined || itself || known === via ? {} : { jump: via }),
      ...(user === undefined ? {} : { user }),
      ...(port === undefined ? {} : { port }),
      ...(tty ? { tty } : {}),
      command,
    };
    return await env.login(login);
  },
};
