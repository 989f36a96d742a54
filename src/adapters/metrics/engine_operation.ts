/** Second segments of the engine's paths that are words and not names. */
const WORDS = new Set(["create", "json", "prune", "search", "load", "get", "info", "events"]);
const COLLECTIONS = new Set([
  "containers",
  "images",
  "networks",
  "volumes",
  "exec",
  "plugins",
  "distribution",
  "system",
]);
const SINGLE = new Set(["_ping", "info", "version", "events", "auth", "build"]);
const WORD = /^[a-z_]{1,20}$/;

/** `POST /containers/{id}/start` of a request to the engine: few of them, whatever is asked. */
export function engineOperation(method: string, path: string): string {
  const [first = "", second, third] = path.split("?", 1)[0]!.split("/").slice(1);
  if (SINGLE.has(first)) return `${method} /${first}`;
  if (!COLLECTIONS.has(first)) return `${method} other`;
  if (second === undefined) return `${method} /${first}`;
  if (WORDS.has(second)) return `${method} /${first}/${second}`;
  if (third === undefined || !WORD.test(third)) return `${method} /${first}/{id}`;
  return `${method} /${first}/{id}/${third}`;
}
