import { expirySentence } from "../../core/pki/renewal_schedule.ts";
import { timeMs } from "../../model/meta.ts";
import { nodeName } from "../../model/node.ts";
import type { View } from "../../model/view.ts";

/** Nodes that a list of warnings names; one sentence counts the others. */
const MAX_NAMED = 5;

/** One sentence for each node whose certificate should have been renewed by now, soonest end first. */
export function certificateWarnings(view: View, nowMs: number): string[] {
  const sentences = [...view.all("node")]
    .filter((node) => node.CertificateExpiry !== undefined)
    .map((node) => {
      const notAfterMs = timeMs(node.CertificateExpiry);
      // Without a known begin only the end itself says that something is wrong.
      const notBeforeMs = node.CertificateBegin === undefined
        ? notAfterMs
        : timeMs(node.CertificateBegin);
      return { name: nodeName(node), notBeforeMs, notAfterMs };
    })
    .sort((a, b) => a.notAfterMs - b.notAfterMs || (a.name < b.name ? -1 : 1))
    .flatMap(({ name, ...life }) => expirySentence(name, life, nowMs) ?? []);
  const more = sentences.length - MAX_NAMED;
  if (more <= 0) return sentences;
  return [...sentences.slice(0, MAX_NAMED), `and the certificates of ${more} other nodes`];
}
