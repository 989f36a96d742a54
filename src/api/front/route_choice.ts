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
  if (method !== "POST" || first !== "containers") return false;
  // A container may be asked to be on a network of the cluster, and has no address there while it is stopped.
  return segments[2] === "create" || (segments[3] === "start" && segments.length === 4);
}

/** What fleet's own routes answer of a container on another node. */
const ANSWERED = new Set(["GET json", "GET logs", "GET top", "GET stats", "POST exec"]);
/** What is a conversation with the engine of the node that runs it. */
const EXCHANGED = new Set([
  "POST attach",
  "POST resize",
  "POST wait",
  "GET archive",
  "HEAD archive",
  "PUT archive",
  "GET changes",
  "GET export",
]);

/** The container that fleet answers such a request of when it runs on another node. */
export function readContainer(method: string, target: string): string | undefined {
  const found = containerRequest(target);
  return found && ANSWERED.has(`${method} ${found.what}`) ? found.container : undefined;
}

/** The container whose node such a request goes to when that is another one. */
export function exchangedContainer(method: string, target: string): string | undefined {
  const found = containerRequest(target);
  return found && EXCHANGED.has(`${method} ${found.what}`) ? found.container : undefined;
}

function containerRequest(target: string): { container: string; what: string } | undefined {
  const [, first, container, what, ...more] = apiPath(target).split("/");
  if (first !== "containers" || !container || !what || more.length > 0) return undefined;
  try {
    return { container: decodeURIComponent(container), what };
  } catch {
    return undefined;
  }
}

/**
 * A command in a container of another node, by the id that fleet gave it: the engine's own and the task's, so
 * that every manager knows where it runs.
 */
export function remoteExec(
  target: string,
): { exec: string; taskId: string; what: string } | undefined {
  const match = /^\/exec\/([0-9a-f]{64})\.([0-9a-z]{25})\/(start|resize|json)$/.exec(
    apiPath(target),
  );
  return match ? { exec: match[1]!, taskId: match[2]!, what: match[3]! } : undefined;
}
