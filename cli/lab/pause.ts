import { hostVerb } from "./host_verb.ts";

export const verb = hostVerb(
  "pause",
  "Agent and engine get no time to run, as on a machine that hangs.",
);
