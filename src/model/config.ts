import { obj, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { annotationFields, Driver, metaFields } from "./meta.ts";

/** `Data` is standard base64. */
export const ConfigSpec = obj({ ...annotationFields, Data: opt(str), Templating: opt(Driver) });
export type ConfigSpec = Infer<typeof ConfigSpec>;

export const Config = obj({ ...metaFields, Spec: ConfigSpec });
export type Config = Infer<typeof Config>;
