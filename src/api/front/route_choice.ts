/** First path segments that are about the cluster. */
const CLUSTER = new Set(["swarm", "nodes", "services", "tasks", "secrets", "configs", "fleet"]);
/** Those that the cluster shares with the engine; what is not the cluster's is passed on. */
const SHARED = new Set(["networks"]);
/** Routes of the engine whose answer fleet completes. */
const COMPLETED = new Set(["_ping", "info", "events"]);

/** Path without version prefix and query. */
export function apiPath(target: string): string {
  const path = target.split(/[?#]/, 1)[0] ?? "";
  return path.replace(/^\/v\d+\.\d+(?=\/)/, "");
}

/** Whether fleet answers a request; everything else is the engine's. */
export function isFleetRoute(method: string, target: string): boolean {
  const segments = apiPath(target).split("/");
  const first = segments[1] ?? "";
  if (CLUSTER.has(first) || (COMPLETED.has(first) && segments.length === 2)) return true;
  if (SHARED.has(first)) return true;
  // A container may be asked to be on a network of the cluster.
  return method === "POST" && first === "containers" && segments[2] === "create";
}

/** What can be read of a container on another node. */
const READS = new Set(["json", "logs", "top", "stats"]);

/** The container that a request only reads from, if it is such a request. */
export function readContainer(method: string, target: string): string | undefined {
  if (method !== "GET") return undefined;
  const [, first, container, what, ...more] = apiPath(target).split("/");
  if (first !== "containers" || !container || !READS.has(what ?? "") || more.length > 0) {
    return undefined;
  }
  return decodeURIComponent(container);
}
