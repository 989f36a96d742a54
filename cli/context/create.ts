import { FleetError } from "../../src/base/errors.ts";
import { parseHost } from "../client.ts";
import type { Verb } from "../verb.ts";
import { checkContextName, readContexts, writeContexts } from "./store.ts";

interface Flags {
  readonly host?: string;
  readonly description?: string;
  readonly certPath?: string;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<name>", "What to call it")
      .value("--host <address>", "unix:///path, tcp://address:port or ssh://user@machine")
      .value("--cert-path <folder>", "Folder with ca.pem, cert.pem and key.pem, for tcp://")
      .value("--description <text>", "What it is")
      .examples(
        "fleet context create office --host ssh://root@192.168.10.5",
        "fleet context use office",
      );
  },
  async run({ env, print }, [name = ""], { host, description, certPath }) {
    checkContextName(name);
    if (!host) throw new FleetError("invalid", "--host is missing: where is its agent?");
    parseHost(host);
    const { current, contexts } = await readContexts(env);
    if (contexts[name]) throw new FleetError("conflict", `context "${name}" exists already`);
    const context = {
      host,
      ...(description ? { description } : {}),
      ...(certPath ? { certPath } : {}),
    };
    await writeContexts(env, { current, contexts: { ...contexts, [name]: context } });
    print(name);
  },
};
