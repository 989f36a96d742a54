import assert from "node:assert/strict";
import { initialClusterSpec, validateClusterSpec } from "./cluster.ts";

const HOUR_NS = 3600 * 1e9;
const cfssl = (more: Record<string, string>) => ({ Protocol: "cfssl", URL: "https://ca", ...more });

Deno.test("certificates live an hour at least", () => {
  const expiry = (NodeCertExpiry: number) => () =>
    validateClusterSpec({ CAConfig: { NodeCertExpiry } });
  expiry(HOUR_NS)();
  // Unset: the default.
  expiry(0)();
  assert.throws(expiry(HOUR_NS - 1e9), {
    kind: "invalid",
    message: /minimum certificate expiry time is 1h0m0s; 59m59s is too short/,
  });
  assert.equal(initialClusterSpec({}).CAConfig?.NodeCertExpiry, 90 * 24 * HOUR_NS);
});

Deno.test("an external CA is asked over TLS only, and by a protocol that is known", () => {
  const check = (more: Record<string, string>) => () =>
    validateClusterSpec({ CAConfig: { ExternalCAs: [cfssl(more)] } });
  check({})();
  assert.throws(check({ URL: "http://ca" }), /"http:\/\/ca" must begin with https:/);
  assert.throws(check({ Protocol: "acme" }), /unsupported external CA protocol "acme"/);
});

Deno.test("a new cluster begins with its own root; a CA of another root may be named already", () => {
  const init = (CAConfig: object) => () => initialClusterSpec({ CAConfig });
  init({ ExternalCAs: [cfssl({ CACert: "other" })] })();
  const way = /begins with a root of its own: initialise it, then fleet ca --rotate --ca-cert/;
  assert.throws(init({ ExternalCAs: [cfssl({})] }), { kind: "invalid", message: way });
  assert.throws(init({ SigningCACert: "x" }), { kind: "invalid", message: way });
});
