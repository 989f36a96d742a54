import { clientTls } from "../client_tls.ts";
import { connect, DEFAULT_HOST, sshDestination } from "../client.ts";
import { chosenContext, DEFAULT_CONTEXT, readContexts } from "../context/store.ts";
import type { CliEnvironment } from "../environment.ts";
import type { Candidate } from "./complete.ts";

/** Somebody waits at a keyboard. */
const TIMEOUT_MS = 1_500;

/** The flags that say which agent is asked. */
export interface Chosen {
  host?: string;
  context?: string;
}

type Row = Readonly<Record<string, unknown>>;
interface Kind {
  readonly path: string;
  readonly names: (row: Row) => readonly (string | undefined)[];
  readonly about?: (row: Row) => string;
}

const at = (row: unknown, ...keys: string[]): string | undefined => {
  let value = row;
  for (const key of keys) value = (value as Row | undefined)?.[key];
  return typeof value === "string" ? value : undefined;
};
const named = (path: string): Kind => ({ path, names: (row) => [at(row, "Spec", "Name")] });

const STACK_LABEL = "com.docker.stack.namespace";
/** Where the names of a kind of object come from. */
const KINDS: Readonly<Record<string, Kind>> = {
  service: {
    ...named("/services"),
    about: (row) => at(row, "Spec", "TaskTemplate", "ContainerSpec", "Image") ?? "",
  },
  node: {
    path: "/nodes",
    names: (row) => [at(row, "Spec", "Name") || at(row, "Description", "Hostname")],
    about: (row) => at(row, "Status", "State") ?? "",
  },
  secret: named("/secrets"),
  config: named("/configs"),
  network: { path: "/networks", names: (row) => [at(row, "Name")] },
  task: { path: "/tasks", names: (row) => [at(row, "ID")] },
  token: { path: "/fleet/tokens", names: (row) => [at(row, "ID")] },
  stack: { path: "/services", names: (row) => [at(row, "Spec", "Labels", STACK_LABEL)] },
};

/**
 * The kind of object that an argument (`<services...>`, `[node]`, `<service=replicas...>`) or a flag's value
 * names.
 */
export function kindOf(word: string): string | undefined {
  const single = word.replace(/^-+/, "").replace(/=.*$/, "").replace(/-(add|rm)$/, "")
    .replace(/s$/, "");
  return single in KINDS || single === CONTEXT ? single : undefined;
}

/** Of the file of contexts, not of an agent. */
const CONTEXT = "context";

/** The names there are now; none when the agent does not answer in time. */
export async function liveNames(
  kind: string,
  env: CliEnvironment,
  chosen: Chosen,
): Promise<Candidate[]> {
  if (kind === CONTEXT) {
    const contexts = await readContexts(env).then(({ contexts }) => contexts, () => ({}));
    return [DEFAULT_CONTEXT, ...Object.keys(contexts).sort()].map((value) => ({ value, help: "" }));
  }
  const { path, names, about } = KINDS[kind]!;
  const context = await chosenContext(env, chosen).catch(() => undefined);
  const host = context?.host || DEFAULT_HOST;
  // Nobody who presses a key wants to be asked for a password.
  if (sshDestination(host) !== undefined) return [];
  const tls = await clientTls(host, env, context?.certPath).catch(() => undefined);
  if (/^(tcp|https):/.test(host) && !tls) return [];
  const client = connect(host, tls);
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const rows = await client.get<Row[]>(path, { signal });
    const found = new Map<string, string>();
    for (const row of rows) {
      for (const name of names(row)) if (name) found.set(name, about?.(row) ?? "");
    }
    return [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([value, help]) => ({ value, help }));
  } catch {
    return [];
  } finally {
    client.close();
  }
}
