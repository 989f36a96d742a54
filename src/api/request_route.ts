import { apiPath } from "./front/route_choice.ts";

/** Segments after the first that are words of the API and not names. */
const WORDS = new Set([
  ..."create update logs json top stats resize join init leave unlock unlockkey".split(" "),
  ..."connect disconnect prune info ping ui links audit tokens backup policy rotate".split(" "),
]);
const FIRST = new Set([
  ..."swarm nodes services tasks secrets configs networks fleet containers info events".split(" "),
  "_ping",
]);
const MAX_SEGMENTS = 4;

/** `/services/{id}/update` of a request: few of them, whatever is asked. For counting, not for choosing. */
export function requestRoute(target: string): string {
  const segments = apiPath(target).split("/").slice(1, 1 + MAX_SEGMENTS);
  if (!FIRST.has(segments[0] ?? "")) return "other";
  return segments.map((segment, i) => i === 0 || WORDS.has(segment) ? `/${segment}` : "/{id}")
    .join("");
}
