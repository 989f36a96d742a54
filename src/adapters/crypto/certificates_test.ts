import assert from "node:assert/strict";
import fc from "fast-check";
import {
  caDigest,
  createKeyAndCsr,
  createRootCa,
  equalTexts,
  inspect,
  issue,
  verifyCertificate,
} from "./certificates.ts";
import { formatJoinToken, parseJoinToken } from "../../core/pki/join_token.ts";

const NOW = Date.UTC(2026, 5, 1);
const DAY = 24 * 3600 * 1000;

function node(role: "manager" | "worker", root = createRootCa(NOW), validityMs = 90 * DAY) {
  const { csrPem, keyPem } = createKeyAndCsr();
  const { certPem } = issue({
    caCertPem: root.certPem,
    caKeyPem: root.keyPem,
    csrPem,
    nodeId: "n".repeat(25),
    role,
    clusterId: "c".repeat(25),
    nowMs: NOW,
    validityMs,
  });
  return { root, certPem, keyPem };
}

async function openssl(args: readonly string[], stdin?: string): Promise<string> {
  const child = new Deno.Command("openssl", {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin ?? ""));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

Deno.test("openssl reads and verifies what we issue", async () => {
  const { root, certPem } = node("manager");
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/ca.crt`, root.certPem);
    await Deno.writeTextFile(`${folder}/node.crt`, certPem);
    const at = String(NOW / 1000);
    assert.match(
      await openssl([
        "verify",
        "-x509_strict",
        "-attime",
        at,
        "-CAfile",
        `${folder}/ca.crt`,
        `${folder}/node.crt`,
      ]),
      /OK/,
    );
    const text = await openssl(["x509", "-noout", "-text", "-in", `${folder}/node.crt`]);
    assert.match(text, /Subject: O = c{25}, OU = swarm-manager, CN = n{25}/);
    assert.match(text, /DNS:swarm-manager, DNS:n{25}, DNS:swarm-ca/);
    assert.match(text, /Public-Key: \(256 bit\)/);
    assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication/);
    assert.match(text, /CA:FALSE/);
    assert.match(await openssl(["x509", "-noout", "-text"], root.certPem), /CA:TRUE, pathlen:1/);
    assert.match(
      await openssl(["req", "-noout", "-verify", "-text"], createKeyAndCsr().csrPem),
      /256 bit/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("role, node and cluster come back out of the certificate", () => {
  const { certPem, root } = node("worker");
  const facts = verifyCertificate(certPem, root.certPem, NOW);
  assert.equal(facts.role, "worker");
  assert.equal(facts.nodeId, "n".repeat(25));
  assert.equal(facts.clusterId, "c".repeat(25));
  assert.equal(facts.notAfterMs, NOW + 90 * DAY);
  assert.equal(facts.notBeforeMs, NOW - 3600 * 1000);
});

Deno.test("a foreign root, an expired certificate and a root in place of a node are refused", () => {
  const { certPem, root } = node("worker");
  assert.throws(() => verifyCertificate(certPem, createRootCa(NOW).certPem, NOW), {
    kind: "unauthorized",
  });
  assert.throws(() => verifyCertificate(certPem, root.certPem, NOW + 91 * DAY), {
    kind: "unauthorized",
    message: /clock/,
  });
  assert.throws(() => inspect(root.certPem), { kind: "invalid" });
});

Deno.test("a request that its key did not sign is refused, and so is garbage", () => {
  const root = createRootCa(NOW);
  const sign = (csrPem: string) => () =>
    issue({
      caCertPem: root.certPem,
      caKeyPem: root.keyPem,
      csrPem,
      nodeId: "n",
      role: "worker",
      clusterId: "c",
      nowMs: NOW,
      validityMs: DAY,
    });
  const { csrPem } = createKeyAndCsr();
  const lines = csrPem.split("\n");
  lines[3] = lines[3]!.replace(/[A-Za-y]/, (char) => String.fromCharCode(char.charCodeAt(0) + 1));
  assert.throws(sign(lines.join("\n")), { kind: "invalid" });
  fc.assert(
    fc.property(fc.string(), fc.base64String(), (text, base64) => {
      assert.throws(sign(text), { kind: "invalid" });
      assert.throws(
        sign(`-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`),
        { kind: "invalid" },
      );
    }),
    { numRuns: 100 },
  );
});

Deno.test("join tokens pin the root", () => {
  const root = createRootCa(NOW);
  const token = formatJoinToken(caDigest(root.certPem), new Uint8Array(16).fill(255));
  assert.equal(parseJoinToken(token).digest, caDigest(root.certPem));
  assert.notEqual(parseJoinToken(token).digest, caDigest(createRootCa(NOW).certPem));
  for (
    const bad of [
      "",
      "SWMTKN-2-a-b",
      token.slice(0, -1),
      `${token}-x`,
      token.replace("SWMTKN", "TOKEN"),
      token.toUpperCase(),
    ]
  ) {
    assert.throws(() => parseJoinToken(bad), { kind: "invalid" });
  }
  assert.ok(equalTexts("a", "a") && !equalTexts("a", "b") && !equalTexts("a", "aa"));
});
