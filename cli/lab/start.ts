import { hostVerb } from "./host_verb.ts";

export const verb = hostVerb("start");
