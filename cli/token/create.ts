import { toRecord } from "../spec/pairs.ts";
import { choice, parseNonNegativeDuration, parseUint } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { managerAddress } from "../swarm/join_command.ts";

interface Flags {
  readonly role?: "worker" | "manager";
  readonly ttl?: number;
  readonly uses?: number;
  readonly nodeLabel?: readonly string[];
  readonly quiet?: boolean;
}

/** A day: long enough to set a machine up. */
const DEFAULT_TTL_NS = 24 * 3_600e9;

export const verb: Verb<Flags> = {
  define(command) {
    command
      .value("--role <word>", "worker or manager (default worker)", choice("worker", "manager"))
      .value("--ttl <duration>", "Time until it ends (default 24h)", parseNonNegativeDuration)
      .value("--uses <uint>", "Nodes that may join with it (default 1)", parseUint)
      .list("--node-label <label>", "Label of the nodes that join with it (key=value)")
      .flag("-q, --quiet", "Print the token only")
      .addHelpText("after", "\nThe token is shown once; the cluster tells it nobody again.")
      .examples(
        "fleet token create",
        "fleet token create --role manager --ttl 10m",
        "fleet token create --uses 5 --node-label zone=b",
      );
  },
  async run({ client, env, print }, _args, flags) {
    const { role = "worker", ttl = DEFAULT_TTL_NS, uses = 1, nodeLabel } = flags;
    const { ID, Token } = await client.post<{ ID: string; Token: string }>("/fleet/tokens/create", {
      body: { Role: role, TTL: ttl, Uses: uses, NodeLabels: toRecord(nodeLabel) },
    });
    if (flags.quiet) return print(Token);
    const { address } = await managerAddress(client);
    env.stdout.write(
      `Token ${ID}: to add a ${role} to this swarm, run the following command:\n\n` +
        `    fleet join --token ${Token} ${address}\n\n`,
    );
  },
};
