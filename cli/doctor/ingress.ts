import { EXIT } from "../exit_codes.ts";
import { settledNodes } from "../node/settled.ts";
import { renderTable } from "../render/table.ts";
import type { VerbContext } from "../verb.ts";

/** GET /fleet/doctor/ingress. */
interface Report {
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

/** One row for each node, one column for each published port. */
function matrix({ Nodes, Results }: Report): string {
  const ports = [...new Set(Results.map(portText))];
  const rows = Nodes.map(({ ID, Name, Addr, Mesh }) => {
    const own = new Map(
      Results.filter(({ NodeID }) => NodeID === ID).map((result) => [portText(result), result]),
    );
    return [Name, Addr, Mesh, ...ports.map((port) => own.get(port)?.OK ? "ok" : "FAILED")];
  });
  return renderTable([["NODE", "ADDRESS", "MESH", ...ports], ...rows]);
}

/** Each reason once, with the nodes and ports that it is about. */
function reasons({ Nodes, Results }: Report): string[] {
  const names = new Map(Nodes.map(({ ID, Name }) => [ID, Name]));
  return Results.filter(({ OK }) => !OK).map((result) =>
    `${names.get(result.NodeID)} ${portText(result)}: ${result.Reason}`
  );
}

const portText = ({ PublishedPort, Protocol, Service }: Report["Results"][number]) =>
  `${PublishedPort}/${Protocol} (${Service})`;
