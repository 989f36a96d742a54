import type { Cluster, Issuer } from "../../model/cluster.ts";
import { timeMs } from "../../model/meta.ts";
import type { Node } from "../../model/node.ts";
import { clusterOf } from "../../model/view.ts";
import type { Change, View } from "../../model/view.ts";
import { formatJoinToken } from "./join_token.ts";
import { signingRoot } from "./roots.ts";

/** Nodes that are asked for a new certificate at the same time, as in SwarmKit. */
export const RENEWALS_AT_ONCE = 30;
/** A node that got a certificate and has not told of it is asked again after this. */
const REPORT_TIMEOUT_MS = 10_000;

/** How far a node is on the way to the wanted root. */
export type NodeRootState =
  /** It says itself that its certificate comes from the wanted root, and nothing else was issued since. */
  | "done"
  /** It is asked to renew, or has not told of what it got. */
  | "under-way"
  | "waiting"
  /** It cannot be asked now: it has to come back, or be removed. */
  | "away";

/** The issuer that every node's certificate shall have. Undefined until a leader has noted it. */
export function wantedIssuer(cluster: Cluster): Issuer | undefined {
  return signingRoot(cluster.RootCA).issuer;
}

export function nodeRootState(node: Node, wanted: Issuer, nowMs: number): NodeRootState {
  const told = node.Description?.TLSInfo;
  const holds = told?.CertIssuerPublicKey === wanted.PublicKey &&
    told.CertIssuerSubject === wanted.Subject;
  const issued = (node.CertificateIssuer ?? told?.CertIssuerPublicKey) === wanted.PublicKey;
  if (holds && issued) return "done";
  if (node.Status.State !== "ready") return "away";
  if (node.RenewCertificate) return "under-way";
  return issued && nowMs < reportDue(node) ? "under-way" : "waiting";
}

function reportDue(node: Node): number {
  return timeMs(node.UpdatedAt) + REPORT_TIMEOUT_MS;
}

export interface RotationTools {
  caDigest(caPem: string): string;
  /** What certificates of that root name as their issuer. */
  issuerOf(caPem: string): Issuer;
  randomBytes(n: number): Uint8Array;
}

/**
 * The next step towards one root for all: asks some nodes for a new certificate, or, when all have one, ends
 * the rotation. Everything it needs is in the state, so any leader goes on where another one stopped. Also
 * brings nodes back that followed a rotation which was given up.
 */
export function rotateRoot(
  view: View,
  nowMs: number,
  tools: RotationTools,
): { changes: Change[]; wakeAtMs?: number } {
  const cluster = clusterOf(view);
  if (!cluster) return { changes: [] };
  const wanted = wantedIssuer(cluster);
  if (!wanted) return { changes: [noted(cluster, tools)] };
  let underWay = 0;
  let wakeAtMs = Infinity;
  const waiting: Node[] = [];
  let open = 0;
  for (const node of view.all("node")) {
    const state = nodeRootState(node, wanted, nowMs);
    if (state === "done") continue;
    // A node that has never said what it has is no leftover of a rotation; its first hello tells.
    if (!cluster.RootCA.Rotation && node.Description?.TLSInfo === undefined) continue;
    open++;
    if (state === "waiting") waiting.push(node);
    if (state !== "under-way") continue;
    underWay++;
    if (!node.RenewCertificate) wakeAtMs = Math.min(wakeAtMs, reportDue(node));
  }
  if (open === 0) return { changes: cluster.RootCA.Rotation ? [finished(cluster, tools)] : [] };
  const asked = waiting.sort((a, b) => a.ID < b.ID ? -1 : 1)
    .slice(0, Math.max(0, RENEWALS_AT_ONCE - underWay));
  return {
    changes: asked.map((node) => ({
      op: "update",
      table: "node",
      object: { ...node, RenewCertificate: true },
    })),
    ...(wakeAtMs === Infinity ? {} : { wakeAtMs }),
  };
}

/** Data of a version that did not note who its certificates name as their issuer. */
function noted(cluster: Cluster, tools: RotationTools): Change {
  const Issuer = tools.issuerOf(cluster.RootCA.CACert);
  return {
    op: "update",
    table: "cluster",
    object: { ...cluster, RootCA: { ...cluster.RootCA, Issuer } },
  };
}

/** The new root is the root, and whoever joins from now on has to know it: the tokens are new. */
function finished(cluster: Cluster, tools: RotationTools): Change {
  const { Rotation, CAKey: _oldKey, Issuer: _oldIssuer, ...rest } = cluster.RootCA;
  // Tokens with an end pin the old root; no node could join with them any more.
  const { IssuedTokens: _tokens, ...others } = cluster;
  const { CACert, CAKey, Issuer } = Rotation!;
  const digest = tools.caDigest(CACert);
  const token = () => formatJoinToken(digest, tools.randomBytes(16));
  return {
    op: "update",
    table: "cluster",
    object: {
      ...others,
      RootCA: {
        ...rest,
        CACert,
        ...(CAKey === undefined ? {} : { CAKey }),
        ...(Issuer === undefined ? {} : { Issuer }),
        JoinTokens: { Worker: token(), Manager: token() },
      },
    },
  };
}
