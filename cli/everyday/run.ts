import { FleetError } from "../../src/base/errors.ts";
import { getNode } from "../node/shared.ts";
import { verb as create } from "../service/create.ts";
import type { CreateFlags } from "../spec/service_flags.ts";
import type { Verb } from "../verb.ts";

type Flags = CreateFlags & { readonly rename?: string; readonly node?: string };

export const verb: Verb<Flags> = {
  define(command) {
    create.define(command);
    command.value("-r, --rename <name>", "The same as --name")
      .value("--node <node>", "Run on this node only (host name, id, or self)")
      .examples(
        "fleet run nginx -r web -p 8080:80",
        "fleet run --node h2 -r db -e POSTGRES_PASSWORD=x postgres:17",
      );
  },
  async run(context, args, { rename, node, ...flags }) {
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
