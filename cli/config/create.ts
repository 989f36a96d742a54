import { createVerb } from "../file_objects.ts";

export const verb = createVerb("config");
