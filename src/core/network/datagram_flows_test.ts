import { deepStrictEqual, strictEqual } from "node:assert";
import { DatagramFlows, FLOW_IDLE_MS } from "./datagram_flows.ts";
import type { RelayedPort } from "./relayed_ports.ts";

const port = (reals: readonly string[], draining: readonly string[] = []): RelayedPort => ({
  protocol: "udp",
  service: "dns",
  published: 5353,
  target: 53,
  header: false,
  ipv4: false,
  reals,
  draining,
});

function table(reals: readonly string[], max = 100) {
  const flows = new DatagramFlows(max);
  flows.serve([port(reals)], 0);
  /** The task of a client, as one of its datagrams comes. */
  const task = (client: string, now = 0) =>
    (flows.find(client, now) ?? flows.begin(client, 5353, now)?.flow)?.task;
  return { flows, task };
}

Deno.test("datagram flows: each new client has the next task, and keeps it", () => {
  const { task } = table(["a", "b"]);
  deepStrictEqual(["1", "2", "3", "1", "2", "3"].map((client) => task(client)), [
    ...["a", "b", "a"],
    ...["a", "b", "a"],
  ]);
});

Deno.test("datagram flows: a task that drains keeps its clients and gets no others", () => {
  const { flows, task } = table(["a", "b"]);
  deepStrictEqual([task("1"), task("2")], ["a", "b"]);
  deepStrictEqual(flows.serve([port(["b"], ["a"])], 0), []);
  deepStrictEqual([task("1"), task("3"), task("4")], ["a", "b", "b"]);
  // Nobody takes new ones any more.
  deepStrictEqual(flows.serve([port([], ["a", "b"])], 0), []);
  deepStrictEqual([task("1"), task("2"), task("5")], ["a", "b", undefined]);
});

Deno.test("datagram flows: those of a task that is gone end, and their clients get another", () => {
  const { flows, task } = table(["a", "b"]);
  deepStrictEqual([task("1"), task("2")], ["a", "b"]);
  deepStrictEqual(flows.serve([port(["b"])], 0).map(({ key }) => key), ["1"]);
  deepStrictEqual([task("1"), task("2")], ["b", "b"]);
  // So do those of a port that leads elsewhere or is closed.
  strictEqual(flows.serve([{ ...port(["b"]), target: 54 }], 0).length, 2);
  strictEqual(task("1"), "b");
  strictEqual(flows.serve([], 0).length, 1);
  strictEqual(task("1"), undefined);
  strictEqual(flows.size, 0);
});

Deno.test("datagram flows: one on which nothing is said ends, whoever spoke last", () => {
  const { flows, task } = table(["a", "b"]);
  const last = FLOW_IDLE_MS - 1;
  for (const client of ["1", "2", "3"]) task(client);
  task("1", last);
  flows.answered(flows.find("2", 0)!, last);
  const ended = flows.serve([port(["a", "b"])], FLOW_IDLE_MS);
  deepStrictEqual(ended.map(({ key }) => key), ["3"]);
});

Deno.test("datagram flows: where there is no room the one used longest ago goes", () => {
  const { flows, task } = table(["a"], 3);
  for (const client of ["1", "2", "3"]) task(client);
  task("1");
  flows.answered(flows.find("2", 0)!, 0);
  strictEqual(flows.begin("4", 5353, 0)?.ended?.key, "3");
  strictEqual(flows.size, 3);
  strictEqual(flows.find("3", 0), undefined);
  // What comes late for a flow that has ended does not touch the one that has its place.
  const late = flows.find("1", 0)!;
  flows.end(late);
  const { flow } = flows.begin("1", 5353, 0)!;
  flows.end(late);
  strictEqual(flows.find("1", 0), flow);
});
