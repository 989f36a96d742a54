import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createWebCertificate } from "./web_certificate.ts";

Deno.test("a web server's certificate is for its addresses, and no CA's", async () => {
  const now = Date.UTC(2026, 10, 21);
  const { certPem, keyPem } = createWebCertificate("a lab", ["10.77.0.1", "10.77.0.2"], now);
  const certificate = new X509Certificate(certPem);
  assert.equal(certificate.subjectAltName, "IP Address:10.77.0.1, IP Address:10.77.0.2");
  assert.equal(certificate.ca, false);
  assert.equal(certificate.checkIP("10.77.0.2"), "10.77.0.2");
  assert.equal(certificate.checkIP("10.77.0.3"), undefined);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: certPem, key: keyPem, onListen: () => {} },
    () => new Response("served"),
  );
  await server.shutdown();
});
