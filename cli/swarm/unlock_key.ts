import { FleetError } from "../../src/base/errors.ts";
import type { ApiSwarm } from "../api_types.ts";
import type { Verb } from "../verb.ts";
import { unlockInstructions } from "./join_command.ts";

interface Flags {
  readonly quiet?: boolean;
  readonly rotate?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.flag("-q, --quiet", "Print the key only").flag("--rotate", "Make a new key")
      .examples("fleet unlock-key --quiet");
  },
  async run({ client, env, print }, _args, { quiet, rotate }) {
    if (rotate) {
      const swarm = await client.get<ApiSwarm>("/swarm");
      if (!swarm.Spec.EncryptionConfig?.AutoLockManagers) {
        throw new FleetError(
          "conflict",
          "cannot rotate: autolock is off. Turn it on with: fleet update --autolock",
        );
      }
      await client.post("/swarm/update", {
        query: { version: swarm.Version.Index, rotateManagerUnlockKey: true },
        body: swarm.Spec,
      });
      if (!quiet) print("Successfully rotated manager unlock key.\n");
    }
    const { UnlockKey } = await client.get<{ UnlockKey: string }>("/swarm/unlockkey");
    if (!UnlockKey) throw new FleetError("not-found", "no unlock key is set");
    if (quiet) print(UnlockKey);
    else env.stdout.write(unlockInstructions(UnlockKey));
  },
};
