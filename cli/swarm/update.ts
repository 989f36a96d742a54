import { FleetError } from "../../src/base/errors.ts";
import type { ApiSwarm } from "../api_types.ts";
import type { Verb } from "../verb.ts";
import { unlockInstructions } from "./join_command.ts";
import { addExternalCaFlag, addSettingsFlags, changedSettings, withCaFiles } from "./settings.ts";
import type { SettingsFlags } from "./settings.ts";

export const verb: Verb<SettingsFlags> = {
  define(command) {
    addExternalCaFlag(addSettingsFlags(command, false))
      .examples("fleet update --task-history-limit 2", "fleet update --autolock=false");
  },
  async run(context, _args, flags) {
    const { client, env } = context;
    if (Object.keys(flags).length === 0) {
      throw new FleetError("invalid", "nothing to update: name at least one setting");
    }
    const settings = await withCaFiles(flags, (path) => env.readFile(path));
    const swarm = await client.get<ApiSwarm>("/swarm");
    await client.post("/swarm/update", {
      query: { version: swarm.Version.Index },
      body: changedSettings(swarm.Spec, settings),
    });
    context.print("Swarm updated.");
    const wasLocked = swarm.Spec.EncryptionConfig?.AutoLockManagers ?? false;
    if (!flags.autolock || wasLocked) return;
    const { UnlockKey } = await client.get<{ UnlockKey: string }>("/swarm/unlockkey");
    env.stdout.write(`${unlockInstructions(UnlockKey)}`);
  },
};
