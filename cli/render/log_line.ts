/** Where a line of a service's log comes from: three of the details that the API puts before it. */
export interface LogContext {
  readonly nodeId: string;
  readonly serviceId: string;
  readonly taskId: string;
}

export interface LogLine {
  readonly timestamp: string;
  readonly context: LogContext;
  /** The other details, as `k=v,k=v`. */
  readonly details: string;
  /** The line itself with its newline. */
  readonly text: string;
}

const NODE = "com.docker.swarm.node.id";
const SERVICE = "com.docker.swarm.service.id";
const TASK = "com.docker.swarm.task.id";

/** Splits `[timestamp ]details line`, the way the logs endpoints write lines that have details. */
export function parseLogLine(line: string, hasTimestamp: boolean): LogLine {
  let rest = line;
  const next = () => {
    const at = rest.indexOf(" ");
    const word = at < 0 ? rest : rest.slice(0, at);
    rest = at < 0 ? "" : rest.slice(at + 1);
    return word;
  };
  const timestamp = hasTimestamp ? next() : "";
  const details = new Map(
    next().split(",").filter((pair) => pair !== "").map((pair) => {
      const [key = "", value = ""] = pair.split("=", 2).map(unescape);
      return [key, value] as const;
    }),
  );
  const context = {
    nodeId: details.get(NODE) ?? "",
    serviceId: details.get(SERVICE) ?? "",
    taskId: details.get(TASK) ?? "",
  };
  const others = [...details].filter(([key]) => ![NODE, SERVICE, TASK].includes(key));
  return {
    timestamp,
    context,
    details: others.map(([key, value]) => `${key}=${value}`).join(","),
    text: rest,
  };
}

/** Undoes the URL query escape of one part. */
function unescape(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
