import assert from "node:assert/strict";
import { checkSources, sourceOf } from "./port_source.ts";

Deno.test("a port's own label goes before the service's, and Swarm's way is the default", () => {
  const Labels = { "fleet.source": "node-local", "fleet.source.8080": "masquerade" };
  assert.equal(sourceOf({ Labels }, 8080), "masquerade");
  assert.equal(sourceOf({ Labels }, 9090), "node-local");
  assert.equal(sourceOf({}, 9090), "masquerade");
});

Deno.test("a source that is none, or not there yet, is refused with what there is", () => {
  checkSources({ Labels: { "fleet.source": "node-local", "fleet.sources": "x" } });
  assert.throws(() => checkSources({ Labels: { "fleet.source.80": "dsr" } }), /none of masquerade/);
  assert.throws(
    () => checkSources({ Labels: { "fleet.source": "preserve" } }),
    /not there yet; node-local/,
  );
});
