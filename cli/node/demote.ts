import { roleVerb } from "./role.ts";

export const verb = roleVerb("worker");
