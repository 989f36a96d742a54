import assert from "node:assert/strict";
import * as crypto from "../../adapters/crypto/certificates.ts";
import type { Trust } from "../node/ports.ts";
import type { View } from "../../model/view.ts";
import { nodeOfExpired, renewalText } from "./expired_renewal.ts";
import type { ExpiredRequest } from "./expired_renewal.ts";

const DAY = 24 * 3_600_000;
const NOW = Date.UTC(2026, 5, 1);
const trust: Trust = { ...crypto, verify: crypto.verifyCertificate, equal: crypto.equalTexts };
const root = trust.createRootCa(NOW - 300 * DAY);

/** A node whose certificate ended `daysAgo`, what the cluster knows of it, and what it asks. */
function expired(daysAgo: number, options: { rootOf?: typeof root; clusterId?: string } = {}) {
  const { keyPem, csrPem } = trust.createKeyAndCsr();
  const { certPem, keyId } = trust.issue({
    caCertPem: (options.rootOf ?? root).certPem,
    caKeyPem: (options.rootOf ?? root).keyPem,
    csrPem,
    nodeId: "n1",
    role: "worker",
    clusterId: options.clusterId ?? "c1",
    nowMs: NOW - (90 + daysAgo) * DAY,
    validityMs: 90 * DAY,
  });
  const csr = trust.createKeyAndCsr().csrPem;
  const signature = trust.signText(keyPem, renewalText("n1", "c1", csr));
  return { request: { csr, certPem, signature }, keyId };
}

function cluster(keys: readonly string[], more: Record<string, unknown> = {}): View {
  const object = { ID: "c1", RootCA: { CACert: root.certPem }, ...more };
  return {
    all: () => [object],
    get: (_: string, id: string) => id === "n1" ? { ID: "n1", CertificateKeys: keys } : undefined,
  } as unknown as View;
}

function refused(view: View, request: ExpiredRequest, kind: string, message: RegExp): void {
  assert.throws(() => nodeOfExpired(view, trust, request, NOW), { kind, message });
}

Deno.test("a node that was off past its certificate's end is known by its key, for a while", () => {
  for (const days of [0, 1, 89]) {
    const { request, keyId } = expired(days);
    assert.equal(nodeOfExpired(cluster(["newer", keyId]), trust, request, NOW), "n1");
  }
  const { request, keyId } = expired(91);
  refused(cluster([keyId]), request, "unauthorized", /is valid from .* not now/);
});

Deno.test("nobody else is: other keys, other roots, other clusters, removed nodes, other requests", () => {
  const { request, keyId } = expired(10);
  refused(cluster(["other"]), request, "unauthorized", /not the one that node n1 had last/);
  refused(cluster([]), request, "unauthorized", /had last/);
  const { csrPem } = trust.createKeyAndCsr();
  refused(cluster([keyId]), { ...request, csr: csrPem }, "unauthorized", /was not signed with/);
  refused(cluster([keyId]), { ...request, signature: "AAAA" }, "unauthorized", /was not signed/);
  refused(
    cluster([keyId], { BlockedNodes: { n1: "2027-01-01T00:00:00Z" } }),
    request,
    "forbidden",
    /not a member/,
  );
  const gone = { ...cluster([keyId]), get: () => undefined } as unknown as View;
  refused(gone, request, "forbidden", /not a member/);
  const foreign = expired(10, { rootOf: trust.createRootCa(NOW - 300 * DAY) });
  refused(cluster([foreign.keyId]), foreign.request, "unauthorized", /not signed by this cluster/);
  const other = expired(10, { clusterId: "c2" });
  refused(cluster([other.keyId]), other.request, "forbidden", /not a member/);
});
