import { obj, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { annotationFields, Driver, metaFields } from "./meta.ts";

/** `Data` is standard base64. A secret's never leaves the managers through the API. */
export const SecretSpec = obj({
  ...annotationFields,
  Data: opt(str),
  Driver: opt(Driver),
  Templating: opt(Driver),
});
export type SecretSpec = Infer<typeof SecretSpec>;

export const Secret = obj({ ...metaFields, Spec: SecretSpec });
export type Secret = Infer<typeof Secret>;
