import assert from "node:assert/strict";
import type { PublishedServer } from "./balancer.ts";
import { isKernels, relayedPorts } from "./relayed_ports.ts";

const server = (more: Partial<PublishedServer>): PublishedServer => ({
  name: "web",
  protocol: "tcp",
  published: 8080,
  target: 80,
  reals: [{ address: "10.0.0.2", weight: 0 }, { address: "10.0.0.3", weight: 1 }],
  ...more,
});

Deno.test("every TCP port with a task is relayed, to tasks that do not drain", () => {
  const [relayed] = relayedPorts([server({})]);
  assert.deepEqual(relayed, {
    protocol: "tcp",
    service: "web",
    published: 8080,
    target: 80,
    header: false,
    ipv4: true,
    reals: ["10.0.0.3"],
    draining: [],
  });
  assert.deepEqual(relayedPorts([server({ reals: [{ address: "10.0.0.2", weight: 0 }] })]), []);
});

Deno.test("UDP and SCTP ports keep the clients of tasks that drain, and their last ones", () => {
  for (const protocol of ["udp", "sctp"] as const) {
    assert.deepEqual(relayedPorts([server({ protocol })]), [{
      protocol,
      service: "web",
      published: 8080,
      target: 80,
      header: false,
      ipv4: false,
      reals: ["10.0.0.3"],
      draining: ["10.0.0.2"],
    }]);
    const drained = [{ address: "10.0.0.2", weight: 0 }];
    const [last] = relayedPorts([server({ protocol, reals: drained })]);
    assert.deepEqual([last?.reals, last?.draining], [[], ["10.0.0.2"]]);
    assert.deepEqual(relayedPorts([server({ protocol, reals: [] })]), []);
    // No spec asks for this: a task cannot be told of the client, and shall not take the node for one.
    assert.deepEqual(relayedPorts([server({ protocol, source: "proxy" })]), []);
  }
});

Deno.test("only the PROXY protocol takes a port from the kernel, and writes a header", () => {
  const proxy = server({ source: "proxy" });
  assert.deepEqual([isKernels(proxy), isKernels(server({ source: "preserve" }))], [false, true]);
  const [with_, without] = relayedPorts([proxy, server({ source: "preserve" })]);
  assert.deepEqual([with_?.header, with_?.ipv4], [true, true]);
  // A client over IPv4 shall not be seen with this node's address, not even for a moment.
  assert.deepEqual([without?.header, without?.ipv4], [false, false]);
});
