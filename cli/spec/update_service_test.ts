import assert from "node:assert/strict";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import type { UpdateFlags } from "./service_flags.ts";
import { updateServiceSpec } from "./update_service.ts";

const NONE = { networks: new Map(), secrets: new Map(), configs: new Map() } as never;
const SPEC: ServiceSpec = {
  Name: "web",
  Labels: { "fleet.source.8085": "node-local", "fleet.source.9090": "preserve", tier: "front" },
  EndpointSpec: {
    Ports: [
      { TargetPort: 80, PublishedPort: 8085, Protocol: "tcp", PublishMode: "ingress" },
      { TargetPort: 90, PublishedPort: 9090, Protocol: "tcp", PublishMode: "ingress" },
    ],
  },
};
const update = (spec: ServiceSpec, flags: Partial<UpdateFlags>) =>
  updateServiceSpec(spec, flags as UpdateFlags, NONE);

Deno.test("what a port shows of its clients goes with the port", () => {
  const without = update(SPEC, { publishRm: ["8085:80"] });
  assert.deepEqual(without.Labels, { "fleet.source.9090": "preserve", tier: "front" });
  const again = update(without, { publishAdd: ["published=8085,target=80"] });
  assert.deepEqual(again.Labels, without.Labels);
  const both = update(SPEC, {
    publishRm: ["8085:80", "9090:90"],
    publishAdd: ["published=8085,target=81", "published=9090,target=91,source=proxy"],
  });
  assert.deepEqual(both.Labels, { "fleet.source.9090": "proxy", tier: "front" });
  assert.deepEqual(update(SPEC, { publishAdd: ["81:81"] }).Labels, SPEC.Labels);
});
