import * as v from "valibot";
import { FleetError } from "../base/errors.ts";

/**
 * The schema language of the model. One schema per object is the single source for three things: the
 * TypeScript type, the decoder of API bodies, and the field order in which the raft log is encoded.
 *
 * Decoding follows Go's encoding/json where Docker's clients rely on it: `null` is the same as absent,
 * and unknown fields are ignored.
 */
export const str = v.string();
export const bool = v.boolean();
export const int = v.pipe(v.number(), v.safeInteger());
export const num = v.number();
/** An integer that Go would hold in an unsigned type. */
export const uint = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** An object with exactly these fields; others are dropped; the order is the encoding's order. */
export const obj = v.object;
export const list = v.array;
/** A field that may be absent. */
export const opt = v.exactOptional;

/** `{name: value}` with its keys sorted, so that equal maps encode to equal bytes. */
export function map<S extends v.GenericSchema>(value: S) {
  return v.pipe(
    v.record(v.string(), value),
    v.transform((record) => {
      const sorted: Record<string, v.InferOutput<S>> = {};
      for (const key of Object.keys(record).sort()) {
        sorted[key] = record[key] as v.InferOutput<S>;
      }
      return sorted as Readonly<Record<string, v.InferOutput<S>>>;
    }),
  );
}
export const labels = map(str);

/** One of a few words. */
export const oneOf = v.picklist;

export type Infer<S extends v.GenericSchema> = DeepReadonly<v.InferOutput<S>>;

export type DeepReadonly<T> = T extends (infer U)[] ? readonly DeepReadonly<U>[]
  : T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
  : T;

/**
 * Decodes `raw` (parsed JSON) by `schema`. `what` names the whole in the message.
 * @throws FleetError invalid, naming the field's path and what was expected there.
 */
export function decode<S extends v.GenericSchema>(schema: S, raw: unknown, what: string): Infer<S> {
  const result = v.safeParse(schema, withoutNulls(raw, 0), { abortEarly: true });
  if (result.success) return result.output as Infer<S>;
  const issue = result.issues[0];
  const path = v.getDotPath(issue) ?? what;
  const expected = issue.expected ?? issue.message;
  throw new FleetError("invalid", `${path}: expected ${plain(expected)}, got ${issue.received}`);
}

function plain(expected: string): string {
  return expected === "Object" ? "an object" : expected === "Array" ? "a list" : expected;
}

/** Deeper bodies than this are no spec anybody wrote. */
const MAX_DEPTH = 64;

function withoutNulls(raw: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new FleetError("invalid", `JSON is nested deeper than ${MAX_DEPTH}`);
  if (raw === null) return undefined;
  if (Array.isArray(raw)) return raw.map((item) => withoutNulls(item, depth + 1));
  if (typeof raw !== "object") return raw;
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (value !== null && key !== "__proto__") out[key] = withoutNulls(value, depth + 1);
  }
  return out;
}

/** The parts of valibot's schemas that tell which fields there are. */
export interface SchemaFields {
  readonly entries?: Readonly<Record<string, SchemaFields>>;
  readonly wrapped?: SchemaFields;
  readonly item?: SchemaFields;
  readonly value?: SchemaFields;
  readonly pipe?: readonly SchemaFields[];
}

/**
 * `raw` with its fields' names as the schema writes them: Go takes them in any case, and Docker's own description
 * has `HealthCheck` where its client sends `Healthcheck`. A name that is right wins. Names in maps stay.
 */
export function withNamesOf(schema: v.GenericSchema, raw: unknown): unknown {
  return renamed(schema as unknown as SchemaFields, raw, 0);
}

function renamed(schema: SchemaFields | undefined, raw: unknown, depth: number): unknown {
  if (!schema || typeof raw !== "object" || raw === null || depth > MAX_DEPTH) return raw;
  const inner = schema.wrapped ?? schema.pipe?.[0];
  if (inner) return renamed(inner, raw, depth);
  if (Array.isArray(raw)) return raw.map((member) => renamed(schema.item, member, depth + 1));
  const { entries } = schema;
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (key === "__proto__") continue;
    const name = !entries || Object.hasOwn(entries, key) ? key : nameLike(entries, key);
    if (name !== key && (Object.hasOwn(raw, name))) continue;
    const member = entries
      ? Object.hasOwn(entries, name) ? entries[name] : undefined
      : schema.value;
    out[name] = renamed(member, value, depth + 1);
  }
  return out;
}

function nameLike(entries: Readonly<Record<string, SchemaFields>>, key: string): string {
  const folded = key.toLowerCase();
  return Object.keys(entries).find((name) => name.toLowerCase() === folded) ?? key;
}

/** `value` in the schema's field order with sorted maps: equal values give equal bytes. */
export function canonical<S extends v.GenericSchema>(schema: S, value: unknown): Infer<S> {
  return v.parse(schema, value) as Infer<S>;
}
