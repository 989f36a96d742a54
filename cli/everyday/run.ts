import { FleetError } from "../../src/base/errors.ts";
import { getNode } from "../node/shared.ts";
import { defineCreate, verb as create } from "../service/create.ts";
import type { CreateFlags } from "../spec/service_flags.ts";
import type { Verb } from "../verb.ts";

type Flags = CreateFlags & { readonly rename?: string; readonly node?: string };

export const verb: Verb<Flags> = {
  define(command) {
    defineCreate(command).usage("[options] IMAGE [options] [--] [COMMAND] [ARG...]")
      .endFlagsAfterOwn()
      .value("-r, --rename <name>", "The same as --name")
      .value("--node <node>", "Run on this node only (host name, id, or self)")
      .addHelpText(
        "after",
        "\nThese options may stand before the image and right behind it. The first word behind it that is none\n" +
          "of them begins the container's command; so does --, which a command that begins like one needs.",
      )
      .examples(
        "fleet run nginx -r web -p 8080:80",
        "fleet run redis:7 -r cache -- redis-server --maxmemory 100mb",
        "fleet run --node h2 -r db -e POSTGRES_PASSWORD=x postgres:17",
      );
  },
  async run(context, [image = "", ...words], { rename, node, ...flags }) {
    const args = [image, ...(words[0] === "--" ? words.slice(1) : words)];
    if (rename !== undefined && flags.name !== undefined && rename !== flags.name) {
      throw new FleetError("invalid", "-r and --name say different names");
    }
    const name = rename ?? flags.name;
    const nodeId = node === undefined ? undefined : (await getNode(context.client, node)).ID;
    return await create.run(context, args, {
      ...flags,
      ...(name === undefined ? {} : { name }),
      ...(nodeId === undefined
        ? {}
        : { constraint: [...(flags.constraint ?? []), `node.id==${nodeId}`] }),
    });
  },
};
