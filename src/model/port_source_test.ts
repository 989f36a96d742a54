import assert from "node:assert/strict";
import { checkSources, sourceOf } from "./port_source.ts";

Deno.test("a port's own label goes before the service's, and Swarm's way is the default", () => {
  const Labels = { "fleet.source": "node-local", "fleet.source.8080": "masquerade" };
  assert.equal(sourceOf({ Labels }, 8080), "masquerade");
  assert.equal(sourceOf({ Labels }, 9090), "node-local");
  assert.equal(sourceOf({}, 9090), "masquerade");
});

Deno.test("a source that is none is refused with what there is", () => {
  const spec = (word: string) => ({ Labels: { "fleet.source.80": word, "fleet.sources": "x" } });
  checkSources(spec("node-local"));
  assert.throws(() => checkSources(spec("dsr")), /none of masquerade, node-local, preserve/);
});

Deno.test("the PROXY protocol is for TCP", () => {
  const Labels = { "fleet.source": "proxy" };
  const spec = (Protocol: string, PublishedPort = 53) => ({
    Labels,
    EndpointSpec: { Ports: [{ Protocol, TargetPort: 53, PublishedPort }] },
  });
  checkSources(spec("tcp"));
  checkSources(spec("tcp", 0));
  assert.throws(
    () => checkSources(spec("udp", 0)),
    /port 53\/udp: source proxy is for TCP; publish it/,
  );
  assert.throws(() => checkSources(spec("udp")), /port 53\/udp: source proxy is for TCP/);
  checkSources({ ...spec("udp"), Labels: { ...Labels, "fleet.source.53": "masquerade" } });
});

Deno.test("preserve is for services on no network of their own", () => {
  const Labels = { "fleet.source.80": "preserve" };
  checkSources({ Labels });
  assert.throws(() => checkSources({ Labels, Networks: [{ Target: "n" }] }), /use node-local/);
  const TaskTemplate = { Networks: [{ Target: "n" }] };
  assert.throws(() => checkSources({ Labels, TaskTemplate }), /use node-local/);
});
