import type { Context } from "hono";
import { FleetError } from "../../base/errors.ts";
import { decode, withNamesOf } from "../../model/json.ts";
import type { Infer } from "../../model/json.ts";
import type { GenericSchema } from "valibot";
import { targetOf } from "../engine_fetch.ts";
import { compareVersions } from "../engine_words.ts";

/** A query parameter that Docker reads loosely: empty, 0, no, false and none are false. */
export function looseBoolean(context: Context, name: string): boolean {
  const value = (context.req.query(name) ?? "").trim().toLowerCase();
  return !["", "0", "no", "false", "none"].includes(value);
}

/** A query parameter that must be a boolean when it is there. @throws FleetError invalid */
export function strictBoolean(context: Context, name: string): boolean {
  const value = context.req.query(name);
  if (value === undefined || value === "") return false;
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new FleetError("invalid", `invalid boolean value for ${name}: "${value}"`);
}

/** Whether a request's version prefix is `version` or newer; without one it is the newest. */
export function isAtLeast(context: Context, version: string): boolean {
  const [, asked] = /^\/v(\d+\.\d+)\//.exec(targetOf(context)) ?? [];
  return asked === undefined || compareVersions(asked, version) >= 0;
}

/** The object version that an update was made from. @throws FleetError invalid */
export function versionOf(context: Context, kind: string): number {
  const value = context.req.query("version") ?? "";
  if (!/^\d{1,15}$/.test(value)) {
    throw new FleetError("invalid", `invalid ${kind} version '${value}': it must be a number`);
  }
  return Number(value);
}

/** The decoded body. @throws FleetError invalid, with the path of the field that is wrong */
export async function bodyOf<S extends GenericSchema>(
  context: Context,
  schema: S,
  what: string,
): Promise<Infer<S>> {
  const text = await context.req.text();
  const type = context.req.header("content-type");
  if (text !== "" && type !== undefined && !/^application\/json\s*(;|$)/i.test(type)) {
    throw new FleetError(
      "invalid",
      `unsupported Content-Type header (${type}): must be 'application/json'`,
    );
  }
  if (text.trim() === "") throw new FleetError("invalid", "got EOF while reading request body");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FleetError(
      "invalid",
      `invalid JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (Array.isArray(value)) {
    throw new FleetError("invalid", `${what}: expected an object, got a list`);
  }
  return decode(schema, withNamesOf(schema, value), what);
}

/**
 * The `filters` parameter, `{"key":["value"]}` or `{"key":{"value":true}}`.
 * @throws FleetError invalid for anything else and for keys that the list does not have
 */
export function filtersOf(
  context: Context,
  keys: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const text = context.req.query("filters");
  const filters = new Map<string, readonly string[]>();
  if (!text) return filters;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FleetError("invalid", "invalid filter: not JSON");
  }
  if (value === null) return filters;
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new FleetError("invalid", "invalid filter");
  }
  for (const [key, given] of Object.entries(value)) {
    if (!keys.includes(key)) throw new FleetError("invalid", `invalid filter '${key}'`);
    const values = Array.isArray(given) ? given : chosen(given);
    if (!values?.every((item) => typeof item === "string")) {
      throw new FleetError("invalid", `invalid filter '${key}'`);
    }
    filters.set(key, values as string[]);
  }
  return filters;
}

/** The names that a filter of the newer form, `{"value":true}`, chooses; undefined for anything else. */
function chosen(given: unknown): string[] | undefined {
  if (typeof given !== "object" || given === null) return undefined;
  const entries = Object.entries(given);
  if (!entries.every(([, on]) => typeof on === "boolean")) return undefined;
  return entries.filter(([, on]) => on).map(([name]) => name);
}

/** Whether a label filter (`key` or `key=value`) matches. */
export function labelMatches(
  labels: Readonly<Record<string, string>> | undefined,
  filter: string,
): boolean {
  const at = filter.indexOf("=");
  if (at < 0) return labels?.[filter] !== undefined;
  return labels?.[filter.slice(0, at)] === filter.slice(at + 1);
}

/** Values of one key are alternatives, keys must all match. */
export function passes<T>(
  object: T,
  filters: ReadonlyMap<string, readonly string[]>,
  tests: Readonly<Record<string, (object: T, value: string) => boolean>>,
): boolean {
  for (const [key, values] of filters) {
    const test = tests[key];
    if (test && !values.some((value) => test(object, value))) return false;
  }
  return true;
}
