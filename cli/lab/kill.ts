import { hostVerb } from "./host_verb.ts";

export const verb = hostVerb(
  "kill",
  "Everything on it ends at once; its disk stays. fleet lab start brings it back.",
);
