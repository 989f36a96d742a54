import { FleetError } from "../../src/base/errors.ts";
import type { ApiInfo } from "../api_types.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb = {
  define(command) {
    command.examples("fleet unlock", "cat key | fleet unlock");
  },
  async run({ client, env }) {
    const state = (await client.get<ApiInfo>("/info")).Swarm?.LocalNodeState;
    if (state === "inactive") {
      throw new FleetError("unavailable", "this node is in no cluster, so nothing is locked");
    }
    if (state !== "locked") throw new FleetError("conflict", "swarm is not locked");
    const key = await env.stdin.readLine({ prompt: "Please enter unlock key: ", hidden: true });
    if (!key?.trim()) throw new FleetError("invalid", "no key was given");
    await client.post("/swarm/unlock", { body: { UnlockKey: key.trim() } });
  },
};
