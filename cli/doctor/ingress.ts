import { EXIT } from "../exit_codes.ts";
import { settledNodes } from "../node/settled.ts";
import { renderTable } from "../render/table.ts";
import type { VerbContext } from "../verb.ts";

/** GET /fleet/doctor/ingress. */
export interface Report {
  readonly Skipped: number;
  readonly Nodes: readonly {
    readonly ID: string;
    readonly Name: string;
    readonly Addr: string;
    readonly Mesh: string;
    readonly Problems: readonly string[];
  }[];
  readonly Results: readonly {
    readonly NodeID: string;
    readonly Service: string;
    readonly Protocol: string;
    readonly PublishedPort: number;
    readonly State: "open" | "failed" | "idle" | "untried";
    /** Not failed. */
    readonly OK: boolean;
    readonly Reason: string;
  }[];
}

/**
 * Opens a connection to every published port on every node, from a manager, and says why where that
 * fails; the exit code.
 */
export async function doctorIngress(
  context: VerbContext,
  json: boolean,
): Promise<number> {
  const { client, env, print, warn } = context;
  await settledNodes(context);
  const report = await client.get<Report>("/fleet/doctor/ingress");
  const code = report.Results.some(({ OK }) => !OK) ? EXIT.failed : EXIT.ok;
  if (json) {
    print(JSON.stringify(report, null, 2));
    return code;
  }
  if (report.Results.length === 0) print("No service publishes a port on every node.");
  else env.stdout.write(matrix(report));
  for (const line of reasons(report)) print(line);
  if (report.Skipped > 0) warn(`WARNING: ${report.Skipped} more were not tried`);
  return code;
}

const WORDS = { open: "ok", failed: "FAILED", idle: "-", untried: "not tried" } as const;

/** One row for each node, one column for each published port. */
export function matrix({ Nodes, Results }: Report): string {
  const ports = [...new Set(Results.map(portText))];
  const rows = Nodes.map(({ ID, Name, Addr, Mesh }) => {
    const own = new Map(
      Results.filter(({ NodeID }) => NodeID === ID).map((result) => [portText(result), result]),
    );
    return [Name, Addr, Mesh, ...ports.map((port) => WORDS[own.get(port)?.State ?? "untried"])];
  });
  return renderTable([["NODE", "ADDRESS", "MESH", ...ports], ...rows]);
}

/** What failed, and what is to be said of the rest; of most that was not tried the table says it all. */
export function reasons({ Nodes, Results }: Report): string[] {
  const names = new Map(Nodes.map(({ ID, Name }) => [ID, Name]));
  const text = (result: Report["Results"][number]) =>
    `${names.get(result.NodeID)} ${portText(result)}: ${result.Reason}`;
  return [
    ...Results.filter(({ State }) => State === "failed"),
    ...Results.filter(({ State, Reason }) =>
      State !== "failed" && Reason !== "" && !(State === "untried" && Reason.endsWith("not tried"))
    ),
  ].map(text);
}

const portText = ({ PublishedPort, Protocol, Service }: Report["Results"][number]) =>
  `${PublishedPort}/${Protocol} (${Service})`;
