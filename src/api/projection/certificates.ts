import { NS_PER_MS } from "../../base/duration.ts";
import { BACKDATE_MS } from "../../core/pki/node_certificate.ts";
import { expirySentence } from "../../core/pki/renewal_schedule.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { timeMs } from "../../model/meta.ts";
import { nodeName } from "../../model/node.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";

/** Nodes that a list of warnings names; one sentence counts the others. */
const MAX_NAMED = 5;

/** One sentence for each node whose certificate should have been renewed by now, soonest end first. */
export function certificateWarnings(view: View, nowMs: number): string[] {
  const expiryNs = clusterOf(view)?.Spec.CAConfig?.NodeCertExpiry ||
    CLUSTER_DEFAULTS.nodeCertExpiryNs;
  const lifeMs = expiryNs / NS_PER_MS + BACKDATE_MS;
  const sentences = [...view.all("node")]
    .filter((node) => node.CertificateExpiry !== undefined)
    .map((node) => ({ name: nodeName(node), notAfterMs: timeMs(node.CertificateExpiry) }))
    .sort((a, b) => a.notAfterMs - b.notAfterMs || (a.name < b.name ? -1 : 1))
    .flatMap(({ name, notAfterMs }) => {
      const life = { notBeforeMs: notAfterMs - lifeMs, notAfterMs };
      return expirySentence(name, life, nowMs) ?? [];
    });
  const more = sentences.length - MAX_NAMED;
  if (more <= 0) return sentences;
  return [...sentences.slice(0, MAX_NAMED), `and the certificates of ${more} other nodes`];
}
