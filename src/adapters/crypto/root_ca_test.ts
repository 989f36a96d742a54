import assert from "node:assert/strict";
import { verifyCertificate } from "./node_certificate.ts";
import { caDigest, checkRootCa, createRootCa, crossSign } from "./root_ca.ts";
import { issueFor, NODE, NOW, openssl, withFiles } from "./test_support.ts";
import { equalTexts } from "./constant_time.ts";

Deno.test("a new root is what Swarm's is: swarm-ca, P-256, 20 years", async () => {
  const { certPem, keyPem } = createRootCa(NOW);
  const text = await openssl(["x509", "-noout", "-text"], certPem);
  for (
    const pattern of [
      /Subject: CN = swarm-ca/,
      /ASN1 OID: prime256v1/,
      /X509v3 Basic Constraints: critical\s+CA:TRUE, pathlen:1/,
      /X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign/,
      /Not After : May 27 00:00:00 2046 GMT/,
    ]
  ) assert.match(text, pattern);
  assert.match(keyPem, /^-----BEGIN PRIVATE KEY-----/);
  assert.equal(checkRootCa(certPem, keyPem, NOW).notBeforeMs, NOW - 3_600_000);
});

Deno.test("dates after 2049 are written in full", async () => {
  const { certPem } = createRootCa(Date.UTC(2045, 0, 1));
  assert.match(await openssl(["x509", "-noout", "-enddate"], certPem), /2064/);
});

Deno.test("the digest is over the exact bytes, as sha256sum computes it", async () => {
  const { certPem } = createRootCa(NOW);
  const hex = await openssl(["dgst", "-sha256", "-r"], certPem);
  const expected = BigInt("0x" + hex.slice(0, 64)).toString(36).padStart(50, "0");
  assert.equal(caDigest(certPem), expected);
  assert.notEqual(caDigest(certPem), caDigest(certPem + "\n"));
});

Deno.test("a root that was brought along is checked rule by rule", () =>
  withFiles({}, async (path) => {
    const self = async (name: string, ...args: string[]) => {
      await openssl([
        ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", `/CN=${name}`],
        ...["-keyout", path(name + ".key"), "-out", path(name), ...args],
      ]);
      return {
        certPem: await Deno.readTextFile(path(name)),
        keyPem: await Deno.readTextFile(path(name + ".key")),
      };
    };
    // openssl's certificates begin in the second in which it made them.
    const now = Date.now() + 60_000;
    const ca = ["-addext", "basicConstraints=critical,CA:TRUE"];
    const good = await self("good", "-days", "800", ...ca);
    assert.match(checkRootCa(good.certPem, good.keyPem, now).subjectDerBase64, /^MA8/);
    const other = await self("other", "-days", "800", ...ca);
    const bad = (certPem: string, keyPem: string | undefined, message: RegExp) =>
      assert.throws(() => checkRootCa(certPem, keyPem, now), { kind: "invalid", message });
    bad(good.certPem + other.certPem, undefined, /alone/);
    bad(good.certPem, other.keyPem, /do not belong together/);
    bad(good.certPem, "x", /key cannot be read/);
    bad("x", undefined, /cannot be read/);
    bad((await self("short", "-days", "100", ...ca)).certPem, undefined, /needs a year/);
    const plain = ["-addext", "basicConstraints=critical,CA:FALSE", "-days", "800"];
    bad((await self("leaf", ...plain)).certPem, undefined, /basicConstraints/);
    const crossed = crossSign({
      newRootPem: good.certPem,
      oldRootPem: other.certPem,
      oldKeyPem: other.keyPem,
    });
    bad(crossed, undefined, /not signed by itself/);
    // An RSA root signs nodes as well as our own does.
    const node = issueFor("worker", { root: good, nowMs: now });
    assert.equal(verifyCertificate(node.certPem, good.certPem, now).nodeId, NODE);
    await Deno.writeTextFile(path("node"), node.certPem);
    assert.match(
      await openssl(["verify", "-CAfile", path("good"), path("node")]),
      /OK/,
    );
  }));

Deno.test("a root on P-384 signs, too", () =>
  withFiles({}, async (path) => {
    await openssl([
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes"],
      ...["-subj", "/CN=x", "-keyout", path("key"), "-out", path("ca"), "-days", "800"],
    ]);
    const root = {
      certPem: await Deno.readTextFile(path("ca")),
      keyPem: await Deno.readTextFile(path("key")),
    };
    const node = issueFor("worker", { root, nowMs: Date.now() });
    await Deno.writeTextFile(path("node"), node.certPem);
    assert.match(await openssl(["verify", "-CAfile", path("ca"), path("node")]), /OK/);
  }));

Deno.test("secrets compare by value", () => {
  assert.ok(equalTexts("a", "a") && !equalTexts("a", "b") && !equalTexts("a", "aa"));
});
