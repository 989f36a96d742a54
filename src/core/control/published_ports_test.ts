import { deepStrictEqual, throws } from "node:assert/strict";
import type { Service } from "../../model/service.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import type { View } from "../../model/view.ts";
import { checkPublishedPorts, endpointWithPorts } from "./published_ports.ts";

const spec = (...Ports: object[]): ServiceSpec => ({ Name: "web", EndpointSpec: { Ports } });

function view(services: readonly object[], DataPathPort?: number): View {
  const tables: Record<string, readonly object[]> = {
    node: [{ ID: "n1", ManagerAddr: "10.0.0.1:2377" }],
    cluster: [{ ID: "c", ...(DataPathPort ? { DataPathPort } : {}) }],
    service: services,
  };
  return { all: (table: string) => tables[table] } as unknown as View;
}

const serviceWith = (...Ports: object[]) => ({
  ID: "s1",
  Spec: { Name: "blog" },
  Endpoint: { Ports },
});

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

Deno.test("published ports: one that was given to another service is refused with its name", () => {
  const others = view([serviceWith({ TargetPort: 80, PublishedPort: 30_000 })]);
  const wanted = { TargetPort: 80, PublishedPort: 30_000 };
  throws(
    () => checkPublishedPorts(others, spec(wanted), "s2"),
    /port '30000' is already in use by service 'blog' \(s1\) as an ingress port/,
  );
  throws(
    () => checkPublishedPorts(others, spec({ ...wanted, PublishMode: "host" }), "s2"),
    /'30000' is already in use by service 'blog'/,
  );
  // Its own, and the same number of another protocol.
  checkPublishedPorts(others, spec(wanted), "s1");
  checkPublishedPorts(others, spec({ ...wanted, Protocol: "udp" }), "s2");
  const onHosts = view([serviceWith({ ...wanted, PublishMode: "host" })]);
  checkPublishedPorts(onHosts, spec({ ...wanted, PublishMode: "host" }), "s2");
});

Deno.test("published ports: when all from 30000 to 32767 are given out, a sentence says what to do", () => {
  const Ports = Array.from({ length: 2_768 }, (_, i) => ({
    TargetPort: 80,
    PublishedPort: 30_000 + i,
  }));
  const full = view([serviceWith(...Ports)]);
  throws(
    () => endpointWithPorts(full, spec({ TargetPort: 81 })),
    /no port from 30000 to 32767 is free for target port 81; name one with published=/,
  );
  deepStrictEqual(
    published(endpointWithPorts(full, spec({ TargetPort: 81, Protocol: "udp" }))),
    [30_000],
  );
  const lastFree = view([serviceWith(...Ports.slice(0, -1))]);
  deepStrictEqual(published(endpointWithPorts(lastFree, spec({ TargetPort: 81 }))), [32_767]);
});

Deno.test("published ports: the data path's are refused, also in host mode and for encrypted networks", () => {
  const udp = (PublishedPort: number, more: object = {}) =>
    spec({ TargetPort: 80, Protocol: "udp", PublishedPort, ...more });
  throws(
    () => endpointWithPorts(view([]), udp(4789)),
    /port '4789\/udp' is the networks' between the nodes/,
  );
  throws(
    () => endpointWithPorts(view([]), udp(4790, { PublishMode: "host" })),
    /port '4790\/udp' is the encrypted networks'/,
  );
  const other = view([], 5_000);
  throws(() => endpointWithPorts(other, udp(5_000)), /the cluster's data path port is 5000/);
  deepStrictEqual(published(endpointWithPorts(other, udp(4_789))), [4_789]);
  const tcp = spec({ TargetPort: 80, PublishedPort: 4_789 });
  deepStrictEqual(published(endpointWithPorts(view([]), tcp)), [4_789]);
});
