import assert from "node:assert/strict";
import {
  BACKDATE_MS,
  DEFAULT_VALIDITY_MS,
  MIN_VALIDITY_MS,
  nodeCertificatePolicy,
  roleOfUnit,
  unitOfRole,
} from "./node_certificate.ts";

const NOW = Date.UTC(2026, 5, 1);
const policy = (change: Partial<Parameters<typeof nodeCertificatePolicy>[0]> = {}) =>
  nodeCertificatePolicy({
    nodeId: "n1",
    role: "worker",
    clusterId: "c1",
    nowMs: NOW,
    validityMs: 2 * MIN_VALIDITY_MS,
    caNotAfterMs: NOW + 1e13,
    ...change,
  });

Deno.test("the subject names node, role and cluster; managers answer for the CA, too", () => {
  assert.deepEqual(policy(), {
    commonName: "n1",
    organizationalUnit: "swarm-worker",
    organization: "c1",
    dnsNames: ["swarm-worker", "n1"],
    notBeforeMs: NOW - BACKDATE_MS,
    notAfterMs: NOW + 2 * MIN_VALIDITY_MS,
  });
  assert.deepEqual(policy({ role: "manager" }).dnsNames, ["swarm-manager", "n1", "swarm-ca"]);
});

Deno.test("a validity below one hour becomes the default, and none outlives the CA", () => {
  assert.equal(policy({ validityMs: MIN_VALIDITY_MS }).notAfterMs, NOW + MIN_VALIDITY_MS);
  for (const validityMs of [MIN_VALIDITY_MS - 1, 0, -1, NaN]) {
    assert.equal(policy({ validityMs }).notAfterMs, NOW + DEFAULT_VALIDITY_MS);
  }
  assert.equal(policy({ caNotAfterMs: NOW + 5 }).notAfterMs, NOW + 5);
  assert.throws(() => policy({ caNotAfterMs: NOW }), { kind: "invalid", message: /ca --rotate/ });
});

Deno.test("ids that could be read as something else are refused", () => {
  for (const id of ["", "a/b", "a\nCN=b", "..", "é", "x".repeat(65), "a b"]) {
    assert.throws(() => policy({ nodeId: id }), { kind: "invalid", message: /node id/ });
    assert.throws(() => policy({ clusterId: id }), { kind: "invalid", message: /cluster id/ });
  }
});

Deno.test("roles and units belong together", () => {
  for (const role of ["manager", "worker"] as const) {
    assert.equal(roleOfUnit(unitOfRole(role)), role);
  }
  for (const unit of ["", "manager", "swarm-ca", undefined]) {
    assert.equal(roleOfUnit(unit), undefined);
  }
});
