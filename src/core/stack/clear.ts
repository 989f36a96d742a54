import type { Path } from "./yaml_source.ts";

/** `value` without what stands at `path`; the value itself where nothing does. */
export function withoutPath<T>(value: T, path: Path): T {
  const [key, ...rest] = path;
  if (key === undefined || typeof value !== "object" || value === null || Array.isArray(value)) {
    return value;
  }
  if (!Object.hasOwn(value, key)) return value;
  const { [key as keyof T]: inner, ...others } = value;
  if (rest.length === 0) return others as T;
  return { ...value, [key]: withoutPath(inner, rest) };
}

export function withoutPaths<T>(value: T, paths: readonly Path[]): T {
  return paths.reduce(withoutPath, value);
}
