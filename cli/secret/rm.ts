import { removeVerb } from "../file_objects.ts";

export const verb = removeVerb("secret");
