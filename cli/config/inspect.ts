import { inspectVerb } from "../file_objects.ts";

export const verb = inspectVerb("config");
