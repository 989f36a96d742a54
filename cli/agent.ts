import { addAgentFlags, agentOptions } from "./agent_flags.ts";
import type { AgentFlags } from "./agent_flags.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb<AgentFlags> = {
  define(command) {
    addAgentFlags(command)
      .addHelpText(
        "after",
        "\nEvery flag is also an environment variable: --data-dir is FLEET_DATA_DIR, and so on.",
      )
      .examples("fleet agent", "fleet agent --data-dir /srv/fleet --log-format json");
  },
  run({ env }, _args, flags) {
    return env.runAgent(agentOptions(flags, (name) => env.variable(name)));
  },
};
