import assert from "node:assert/strict";
import { startCfssl } from "../../../tests/support/cfssl_server.ts";
import { createKeyAndCsr, requestKeyId } from "../crypto/certificate_request.ts";
import { inspect, issue, verifyCertificate } from "../crypto/node_certificate.ts";
import { createRootCa } from "../crypto/root_ca.ts";
import { probe, signExternally } from "./external_ca.ts";

const NAMES = { organization: "c1", organizationalUnit: "swarm-worker", commonName: "n1" };

/** A root, a manager's certificate from it, and a server that signs with it. */
async function world() {
  const nowMs = Date.now();
  const root = createRootCa(nowMs);
  // Its name has to be `localhost`; a node id can be that.
  const certificateFor = (nodeId: string) => {
    const { keyPem, csrPem } = createKeyAndCsr();
    const { certPem } = issue({
      caCertPem: root.certPem,
      caKeyPem: root.keyPem,
      csrPem,
      nodeId,
      role: "manager",
      clusterId: "c1",
      nowMs,
      validityMs: 90 * 24 * 3_600_000,
    });
    return { certPem, keyPem };
  };
  const manager = certificateFor("manager1");
  const server = await startCfssl({
    ca: root,
    tls: certificateFor("localhost"),
    clientCaPem: root.certPem,
  });
  const { csrPem } = createKeyAndCsr();
  const request = { csrPem, hosts: ["swarm-worker", "n1"], subject: NAMES };
  const sign = (...urls: string[]) =>
    signExternally(urls.map((URL) => ({ URL })), root.certPem, manager, request);
  return { root, manager, server, request, sign, csrPem };
}

Deno.test("an external CA signs what it is asked, for whom it knows by the certificate", async () => {
  const { root, server, sign, csrPem, manager, request } = await world();
  await using _ = server;
  const certPem = await sign(server.url);
  const facts = verifyCertificate(certPem, root.certPem, Date.now());
  assert.deepEqual(
    [facts.nodeId, facts.role, facts.clusterId, facts.keyId],
    ["n1", "worker", "c1", requestKeyId(csrPem)],
  );
  assert.deepEqual(server.asked[0]!.client, "manager1");
  assert.deepEqual(server.asked[0]!.request, {
    certificate_request: csrPem,
    hosts: ["swarm-worker", "n1"],
    subject: { CN: "n1", names: [{ O: "c1", OU: "swarm-worker" }] },
  });
  const Options = { profile: "node", label: "primary" };
  await signExternally([{ URL: server.url, Options }], root.certPem, manager, request);
  const { profile, label } = server.asked[1]!.request;
  assert.deepEqual({ profile, label }, Options);
  assert.equal(inspect(certPem).nodeId, "n1");
});

Deno.test("the next CA is asked when one does not sign; when none does, each is named with its reason", async () => {
  const { server, sign } = await world();
  await using _ = server;
  const nobody = "https://127.0.0.1:65535/api/v1/cfssl/sign";
  assert.match(await sign(nobody, server.url), /BEGIN CERTIFICATE/);
  server.answer = () => ({
    status: 400,
    body: JSON.stringify({ success: false, errors: [{ code: 1, message: "not on my watch" }] }),
  });
  await assert.rejects(sign(nobody, "http://plain/", server.url), (error: Error) => {
    assert.match(error.message, /no external CA signs: https:\/\/127.0.0.1:65535\/.*refused/s);
    assert.match(error.message, /http:\/\/plain\/: its URL must begin with https/);
    assert.match(error.message, /it answers 400: not on my watch/);
    return true;
  });
});

Deno.test("an answer that is none is refused, and a long one not read to its end", async () => {
  const { server, sign } = await world();
  await using _ = server;
  const cases: [number, string, RegExp][] = [
    [200, "hello", /it answers 200/],
    [200, JSON.stringify({ success: false }), /it answers 200/],
    [200, JSON.stringify({ success: true, result: {} }), /holds no certificate/],
    [200, JSON.stringify({ success: true, result: { certificate: "x" } }), /holds no certificate/],
    [200, "x".repeat(300 * 1024), /longer than 262144/],
  ];
  for (const [status, body, message] of cases) {
    server.answer = () => ({ status, body });
    await assert.rejects(sign(server.url), { kind: "unavailable", message });
  }
});

Deno.test("a server that another CA vouches for is not asked", async () => {
  const { server, manager, request } = await world();
  await using _ = server;
  const other = createRootCa(Date.now());
  const cas = [{ URL: server.url }];
  await assert.rejects(
    signExternally(cas, other.certPem, manager, request),
    /no external CA signs/,
  );
  await assert.rejects(probe(cas[0]!, other.certPem, manager), /cannot be reached/);
  assert.equal(server.asked.length, 0);
});

Deno.test("any answer over TLS is a sign of life", async () => {
  const { root, server, manager } = await world();
  await using _ = server;
  await probe({ URL: server.url }, root.certPem, manager);
  await assert.rejects(probe({ URL: "https://127.0.0.1:65535/" }, root.certPem, manager), {
    kind: "unavailable",
    message: /the external CA at https:\/\/127.0.0.1:65535\/ cannot be reached/,
  });
});
