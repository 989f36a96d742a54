import type { ApiInfo, ApiNode, ApiSwarm, ClusterInfo } from "../api_types.ts";
import { addListFlags } from "../list_flags.ts";
import type { ListFlags } from "../list_flags.ts";
import { filtersText } from "../query.ts";
import { renderList } from "../render/list.ts";
import type { ListShape } from "../render/list.ts";
import { naturalCompare } from "../render/natural_sort.ts";
import { title } from "../render/text.ts";
import { toleranceSentence } from "../tolerance.ts";
import type { Verb } from "../verb.ts";

export const NODE_LIST: ListShape = {
  headers: {
    ID: "ID",
    Self: "SELF",
    Hostname: "HOSTNAME",
    Status: "STATUS",
    Availability: "AVAILABILITY",
    ManagerStatus: "MANAGER STATUS",
    EngineVersion: "ENGINE VERSION",
    TLSStatus: "TLS STATUS",
    CertExpiry: "CERT EXPIRY",
    CertDaysLeft: "CERT DAYS LEFT",
  },
  columns: ["IDAndSelf", "Hostname", "Status", "Availability", "ManagerStatus", "EngineVersion"],
};

export const verb: Verb<ListFlags> = {
  define(command) {
    addListFlags(command).examples(
      "fleet node ls --filter role=manager",
      "fleet node ls --format '{{.Hostname}} {{.Status}}'",
      "fleet node ls --format 'table {{.Hostname}}\t{{.TLSStatus}}\t{{.CertDaysLeft}}'",
    );
  },
  async run({ client, env }, _args, flags) {
    const filters = filtersText(flags.filter);
    const [nodes, info] = await Promise.all([
      client.get<ApiNode[]>("/nodes", { query: { filters } }),
      flags.quiet ? undefined : client.get<ApiInfo>("/info"),
    ]);
    // The table has no such column; a template may take the whole row (`{{json .}}`).
    const needsTls = !flags.quiet && Boolean(flags.format) && flags.format !== "table";
    const cluster = needsTls ? await client.get<ApiSwarm>("/swarm") : undefined;
    env.stdout.write(renderNodes(nodes, info?.Swarm?.NodeID ?? "", cluster, flags));
    // For people only: a script that reads the table must not find a sentence in it.
    if (!env.stdout.isTTY || flags.quiet || flags.format) return;
    const sentence = await toleranceSentence(client);
    if (sentence) env.stderr.write(`\n${sentence}\n`);
  },
};

/** The list in the asked form, by host name. */
export function renderNodes(
  nodes: readonly ApiNode[],
  self: string,
  cluster: ClusterInfo | undefined,
  flags: ListFlags,
): string {
  const rows = [...nodes]
    .sort((a, b) => naturalCompare(hostname(a), hostname(b)) || (a.ID < b.ID ? -1 : 1))
    .map((node) => nodeRow(node, self, cluster));
  const shape = { ...NODE_LIST, headers: { ...NODE_LIST.headers, IDAndSelf: "ID" } };
  const table = !flags.format || flags.format === "table";
  // The star belongs to the default table only; `--format json` has Self for it.
  return renderList(
    shape,
    table ? rows.map((row) => ({ ...row, IDAndSelf: row.ID + (row.Self ? " *" : "") })) : rows,
    flags,
  );
}

function nodeRow(node: ApiNode, self: string, cluster: ClusterInfo | undefined) {
  return {
    ID: node.ID,
    Self: node.ID === self,
    Hostname: hostname(node),
    Status: title(node.Status?.State ?? ""),
    Availability: title(node.Spec?.Availability ?? "active"),
    ManagerStatus: managerText(node),
    TLSStatus: tlsText(node, cluster),
    EngineVersion: node.Description?.Engine?.EngineVersion ?? "",
    CertExpiry: node.CertificateExpiry,
    CertDaysLeft: node.CertificateDaysLeft,
  };
}

function hostname(node: ApiNode): string {
  return node.Spec?.Name || (node.Description?.Hostname ?? "");
}

function managerText(node: ApiNode): string {
  if (!node.ManagerStatus) return "";
  return node.ManagerStatus.Leader ? "Leader" : title(node.ManagerStatus.Reachability ?? "");
}

function tlsText(node: ApiNode, cluster: ClusterInfo | undefined): string {
  const own = node.Description?.TLSInfo;
  if (!own?.TrustRoot || !cluster?.TLSInfo) return "Unknown";
  const current = own.TrustRoot === cluster.TLSInfo.TrustRoot &&
    own.CertIssuerSubject === cluster.TLSInfo.CertIssuerSubject &&
    own.CertIssuerPublicKey === cluster.TLSInfo.CertIssuerPublicKey;
  return current ? "Ready" : "Needs Rotation";
}
