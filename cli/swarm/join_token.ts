import { FleetError } from "../../src/base/errors.ts";
import type { ApiSwarm } from "../api_types.ts";
import type { Verb } from "../verb.ts";
import { joinInstructions, managerAddress } from "./join_command.ts";

interface Flags {
  readonly quiet?: boolean;
  readonly rotate?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.usage("[options] worker|manager").argument("<role>", "worker or manager")
      .flag("-q, --quiet", "Print the token only")
      .flag("--rotate", "Make a new token; the old one ends at once")
      .examples("fleet join-token worker", "fleet join-token --quiet manager");
  },
  async run({ client, env, print }, [role], { quiet, rotate }) {
    if (role !== "worker" && role !== "manager") {
      throw new FleetError("invalid", `there are tokens for a worker or a manager, not "${role}"`);
    }
    if (rotate) {
      const swarm = await client.get<ApiSwarm>("/swarm");
      const which = role === "worker" ? "rotateWorkerToken" : "rotateManagerToken";
      await client.post("/swarm/update", {
        query: { version: swarm.Version.Index, [which]: true },
        body: swarm.Spec,
      });
      if (!quiet) print(`Successfully rotated ${role} join token.\n`);
    }
    const { JoinTokens } = await client.get<ApiSwarm>("/swarm");
    const token = role === "worker" ? JoinTokens.Worker : JoinTokens.Manager;
    if (quiet) return print(token);
    const { address } = await managerAddress(client);
    env.stdout.write(`${joinInstructions(role, token, address)}\n`);
  },
};
