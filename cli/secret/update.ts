import { updateVerb } from "../file_objects.ts";

export const verb = updateVerb("secret");
