import { FleetError } from "../../src/base/errors.ts";
import type { CliEnvironment } from "../environment.ts";
import type { Verb } from "../verb.ts";
import { factsText, inspectBackup, sizeText } from "./facts.ts";
import { addPassphraseFlag, passphrase, passphraseHeader } from "./passphrase.ts";
import type { PassphraseFlags } from "./passphrase.ts";

interface Flags extends PassphraseFlags {
  readonly inspect?: boolean;
  readonly force?: boolean;
  readonly quiet?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    addPassphraseFlag(command.argument("<file>", "Where to"))
      .flag("--inspect", "Show what an existing backup holds, and write nothing")
      .flag("--force", "Replace an existing file")
      .flag("-q, --quiet", "Print nothing but failures")
      .addHelpText(
        "after",
        "\nThe file holds all services, networks, secrets and configs, the nodes, the root CA and the join\n" +
          "tokens, as of one moment; the cluster goes on meanwhile. It is sealed under the passphrase,\n" +
          "and read back once it is written. Volumes of containers are not in it.",
      )
      .examples(
        "fleet backup cluster.backup",
        "fleet backup --passphrase-file /root/backup.pass /srv/backup/$(date +%F).fleet",
        "fleet backup --inspect cluster.backup",
      );
  },
  async run({ client, env, print }, [file = ""], flags) {
    if (flags.inspect) {
      const bytes = await env.readFile(file);
      const facts = await inspectBackup(client, bytes, await passphrase(env, flags, "known"));
      return env.stdout.write(factsText(facts, env.now()));
    }
    if (!flags.force && await exists(env, file)) {
      throw new FleetError("conflict", `${file} exists: choose another name, or add --force`);
    }
    const word = await passphrase(env, flags, "new");
    const response = await client.request("POST", "/fleet/backup", {
      headers: passphraseHeader(word),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    await env.replaceFile(file, bytes);
    // What cannot be read back is no backup.
    const facts = await inspectBackup(client, await env.readFile(file), word).catch((cause) => {
      throw new FleetError("corrupt", `${file} was written but cannot be read back`, { cause });
    });
    if (flags.quiet) return;
    env.stdout.write(factsText(facts, env.now()));
    print(`\nWritten to ${file} (${sizeText(bytes.length)}) and read back.`);
    print("Keep it and its passphrase apart; without the passphrase nobody can open it.");
  },
};

function exists(env: CliEnvironment, file: string): Promise<boolean> {
  return env.readFile(file).then(() => true, () => false);
}
