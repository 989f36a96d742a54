import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createKeyAndCsr } from "./certificate_request.ts";
import { inspect, issue, verifyCertificate } from "./node_certificate.ts";
import { createRootCa, crossSign } from "./root_ca.ts";
import { CLUSTER, DAY_MS, issueFor, NODE, NOW, openssl, withFiles } from "./test_support.ts";

Deno.test("openssl reads and verifies what we issue", async () => {
  const { root, certPem } = issueFor("manager");
  await withFiles({ ca: root.certPem, node: certPem }, async (path) => {
    const at = String(NOW / 1000);
    const verify = ["verify", "-x509_strict", "-attime", at, "-CAfile", path("ca")];
    assert.match(await openssl([...verify, path("node")]), /OK/);
    for (const purpose of ["sslserver", "sslclient"]) {
      assert.match(await openssl([...verify, "-purpose", purpose, path("node")]), /OK/);
    }
    const text = await openssl(["x509", "-noout", "-text", "-in", path("node")]);
    for (
      const pattern of [
        /Version: 3/,
        /Issuer: CN = swarm-ca/,
        new RegExp(`Subject: O = ${CLUSTER}, OU = swarm-manager, CN = ${NODE}`),
        new RegExp(`DNS:swarm-manager, DNS:${NODE}, DNS:swarm-ca`),
        /Public-Key: \(256 bit\)/,
        /X509v3 Key Usage: critical\s+Digital Signature, Key Encipherment\n/,
        /TLS Web Server Authentication, TLS Web Client Authentication/,
        /X509v3 Basic Constraints: critical\s+CA:FALSE/,
        /X509v3 Subject Key Identifier/,
        /X509v3 Authority Key Identifier/,
        /Not Before: May 31 23:00:00 2026 GMT/,
        /Not After : Aug 30 00:00:00 2026 GMT/,
      ]
    ) assert.match(text, pattern);
  });
});

Deno.test("role, node and cluster come back out of the certificate", () => {
  const { certPem, root } = issueFor("worker");
  const facts = verifyCertificate(certPem, root.certPem, NOW);
  assert.deepEqual(
    [facts.role, facts.nodeId, facts.clusterId, facts.notBeforeMs, facts.notAfterMs],
    ["worker", NODE, CLUSTER, NOW - 3_600_000, NOW + 90 * DAY_MS],
  );
  const key = new X509Certificate(root.certPem).publicKey.export({ type: "spki", format: "der" });
  assert.equal(facts.issuerKeyDerBase64, key.toString("base64"));
  assert.equal(inspect(certPem).issuerDerBase64, facts.issuerDerBase64);
});

Deno.test("every certificate has a serial number of its own", () => {
  const root = createRootCa(NOW);
  const serials = [1, 2, 3].map(() =>
    new X509Certificate(issueFor("worker", { root }).certPem).serialNumber
  );
  assert.equal(new Set(serials).size, 3);
});

Deno.test("a foreign root, an expired certificate and a root in place of a node are refused", () => {
  const { certPem, root } = issueFor("worker");
  assert.throws(() => verifyCertificate(certPem, createRootCa(NOW).certPem, NOW), {
    kind: "unauthorized",
    message: /not signed by this cluster's root/,
  });
  for (const nowMs of [NOW + 91 * DAY_MS, NOW - 2 * 3_600_000]) {
    assert.throws(() => verifyCertificate(certPem, root.certPem, nowMs), {
      kind: "unauthorized",
    });
  }
  assert.throws(() => verifyCertificate(certPem, root.certPem, NOW + 91 * DAY_MS), {
    message: /clock/,
  });
  assert.throws(() => inspect(root.certPem), { kind: "invalid" });
  for (const text of ["", "x", certPem.slice(0, 300), certPem.replace(/\n..../, "\nAAAA")]) {
    assert.throws(() => inspect(text), { kind: "invalid" });
    assert.throws(() => verifyCertificate(text, root.certPem, NOW), { kind: "invalid" });
  }
});

Deno.test("a node's certificate cannot sign another one", () => {
  const root = createRootCa(NOW);
  const node = issueFor("manager", { root });
  const forged = issueFor("manager", { root: { certPem: node.certPem, keyPem: node.keyPem } });
  assert.throws(
    () => verifyCertificate(forged.certPem + node.certPem, root.certPem, NOW),
    { kind: "unauthorized" },
  );
});

Deno.test("during a rotation both roots accept a certificate with the cross-signed CA", async () => {
  const [old, fresh] = [createRootCa(NOW), createRootCa(NOW)];
  const chainPem = crossSign({
    newRootPem: fresh.certPem,
    oldRootPem: old.certPem,
    oldKeyPem: old.keyPem,
  });
  const { certPem } = issueFor("worker", { root: fresh, chainPem });
  const byOld = verifyCertificate(certPem, old.certPem, NOW);
  const byNew = verifyCertificate(certPem, fresh.certPem, NOW);
  assert.deepEqual(byOld, byNew);
  const leaf = issueFor("worker", { root: fresh }).certPem;
  assert.throws(() => verifyCertificate(leaf, old.certPem, NOW), { kind: "unauthorized" });
  assert.equal(verifyCertificate(leaf, old.certPem + fresh.certPem, NOW).nodeId, NODE);
  await withFiles({ old: old.certPem, chain: chainPem, node: certPem }, async (path) => {
    assert.match(
      await openssl([
        "verify",
        "-x509_strict",
        "-attime",
        String(NOW / 1000),
        ...["-CAfile", path("old"), "-untrusted", path("chain"), path("node")],
      ]),
      /OK/,
    );
  });
});

Deno.test("a chain that knots does not keep the verifier busy", () => {
  const loop = createRootCa(NOW);
  const again = Array.from(
    { length: 7 },
    () => crossSign({ newRootPem: loop.certPem, oldRootPem: loop.certPem, oldKeyPem: loop.keyPem }),
  );
  const { certPem } = issueFor("worker", { root: loop });
  const started = performance.now();
  assert.throws(
    () => verifyCertificate(certPem + again.join(""), createRootCa(NOW).certPem, NOW),
    { kind: "unauthorized" },
  );
  assert.ok(performance.now() - started < 30_000);
});

Deno.test("a root key that does not belong to the root is noticed before anything is signed", () => {
  const [a, b] = [createRootCa(NOW), createRootCa(NOW)];
  assert.throws(
    () => issueFor("worker", { root: { certPem: a.certPem, keyPem: b.keyPem } }),
    { kind: "corrupt", message: /do not belong together/ },
  );
  assert.throws(
    () => issueFor("worker", { root: { certPem: a.certPem, keyPem: "nonsense" } }),
    (error: Error) => /cannot be read/.test(error.message) && !/nonsense/.test(error.message),
  );
});

Deno.test("an id that would read as another field is refused", () => {
  const root = createRootCa(NOW);
  assert.throws(
    () =>
      issue({
        caCertPem: root.certPem,
        caKeyPem: root.keyPem,
        csrPem: createKeyAndCsr().csrPem,
        nodeId: "n1\nOU=swarm-manager",
        role: "worker",
        clusterId: CLUSTER,
        nowMs: NOW,
        validityMs: DAY_MS,
      }),
    { kind: "invalid" },
  );
});
