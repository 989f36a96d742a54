import { cutVerb } from "./host_verb.ts";

export const verb = cutVerb(true);
