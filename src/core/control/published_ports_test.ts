import { deepStrictEqual, throws } from "node:assert/strict";
import type { Service } from "../../model/service.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import type { View } from "../../model/view.ts";
import { endpointWithPorts } from "./published_ports.ts";

const spec = (...Ports: object[]): ServiceSpec => ({ Name: "web", EndpointSpec: { Ports } });

function view(services: readonly Partial<Service>[]): View {
  const nodes = [{ ID: "n1", ManagerAddr: "10.0.0.1:2377" }];
  return { all: (table: string) => table === "node" ? nodes : services } as unknown as View;
}

const published = (endpoint: ReturnType<typeof endpointWithPorts>) =>
  (endpoint.Ports ?? []).map(({ PublishedPort }) => PublishedPort);

Deno.test("published ports: the first free one, another for each, none for host mode", () => {
  const other = { ID: "s1", Endpoint: { Ports: [{ TargetPort: 1, PublishedPort: 30_000 }] } };
  deepStrictEqual(
    published(endpointWithPorts(
      view([other]),
      spec(
        { TargetPort: 80 },
        { TargetPort: 80, Protocol: "udp" },
        { TargetPort: 81 },
        { TargetPort: 82, PublishMode: "host" },
        { TargetPort: 83, PublishedPort: 30_002 },
      ),
    )),
    [30_001, 30_000, 30_003, undefined, 30_002],
  );
});

Deno.test("published ports: a service keeps those that it was given", () => {
  const before = { ID: "s1", Endpoint: { Ports: [{ TargetPort: 80, PublishedPort: 30_007 }] } };
  deepStrictEqual(
    published(
      endpointWithPorts(view([before]), spec({ TargetPort: 80 }), before as unknown as Service),
    ),
    [30_007],
  );
});

Deno.test("published ports: the managers' own is refused", () => {
  throws(
    () => endpointWithPorts(view([]), spec({ TargetPort: 80, PublishedPort: 2377 })),
    /port '2377' is the managers' own/,
  );
});
