import { listVerb } from "../file_objects.ts";

export const verb = listVerb("secret");
