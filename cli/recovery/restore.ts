import type { ApiInfo } from "../api_types.ts";
import { ensureAgent } from "../ensure_agent.ts";
import type { Verb } from "../verb.ts";
import { confirm } from "../confirm.ts";
import { factsText, inspectBackup } from "./facts.ts";
import type { BackupFacts } from "../../src/model/backup.ts";
import { addPassphraseFlag, passphrase, passphraseHeader } from "./passphrase.ts";
import type { PassphraseFlags } from "./passphrase.ts";

interface Flags extends PassphraseFlags {
  readonly advertiseAddr?: string;
  readonly listenAddr?: string;
  readonly dataPathAddr?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    addPassphraseFlag(command.argument("<file>", "A file that fleet backup wrote"))
      .value("--advertise-addr <address>", "Address that other nodes use (default the backup's)")
      .value("--listen-addr <address>", "Address to listen on (default the agent's)")
      .value("--data-path-addr <address>", "Address for traffic between containers")
      .flag("--dry-run", "Show what the backup holds, and change nothing")
      .flag("-y, --yes", "Ask nothing")
      .addHelpText(
        "after",
        "\nThis node becomes the only manager of the backup's cluster. With the address of the manager that\n" +
          "the backup was made on, workers find it by themselves and their containers go on; with another one,\n" +
          "every other node has to leave (fleet leave --force) and join again. Other managers of the backup\n" +
          "have to do so in any case. The old managers must not run any more: there would be two clusters.",
      )
      .examples(
        "fleet restore --dry-run cluster.backup",
        "fleet restore cluster.backup",
        "fleet restore --advertise-addr 192.168.10.9 cluster.backup",
      );
  },
  async run(context, [file = ""], flags) {
    const { client, env, print } = context;
    const bytes = await env.readFile(file);
    const word = await passphrase(env, flags, "known");
    await ensureAgent(context);
    const found = await inspectBackup(client, bytes, word);
    env.stdout.write(factsText(found, env.now()));
    if (flags.dryRun) {
      print("\nNothing was changed.");
      const { Swarm } = await client.get<ApiInfo>("/info");
      if ((Swarm?.LocalNodeState ?? "inactive") !== "inactive") {
        print(
          'This node is in a cluster, so that a restore is refused: "fleet leave --force" first.',
        );
      }
      return;
    }
    await confirm(
      env,
      "\nMake this node the only manager of that cluster? No old manager of it may run any more.",
      flags.yes,
    );
    const facts = await client.post<BackupFacts>("/fleet/backup/restore", {
      bytes,
      headers: passphraseHeader(word),
      query: {
        advertiseAddr: flags.advertiseAddr,
        listenAddr: flags.listenAddr,
        dataPathAddr: flags.dataPathAddr,
      },
    });
    print(`\nRestored: this node (${facts.NodeID}) is the cluster's only manager.`);
    const others = facts.Managers - 1;
    if (others > 0) {
      print(
        `The ${others} other manager${
          others === 1 ? "" : "s"
        } of the backup must leave and join again: on each, "fleet leave --force", then the command of "fleet join-token manager".`,
      );
    }
    print('"fleet node ls" shows which workers came back; "fleet doctor" what is left to do.');
  },
};
