import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { OffloadProbe } from "./offload_probe.ts";
import type { ProbedNetwork } from "./offload_probe.ts";

/** Two nodes with a network between them; a card that is damaging does so while checksums are left to it. */
function setUp(damaging: { a?: boolean; b?: boolean }, up: { b?: boolean } = { b: true }) {
  const clock = new ManualClock();
  const leaves = { a: true, b: true };
  const said: string[] = [];
  const arrives = (from: "a" | "b") => !(damaging[from] && leaves[from]);
  const nodes = (["a", "b"] as const).map((name) => {
    const other = name === "a" ? "b" : "a";
    const probe = new OffloadProbe({
      clock,
      logger: { ...silentLogger, log: (level, message) => void said.push(`${level} ${message}`) },
      host: {
        answers: () =>
          Promise.resolve(arrives(name) && arrives(other) && (other === "a" || up.b === true)),
        leavesChecksums: () => Promise.resolve(leaves[name]),
        leaveChecksums: (_device, leave) => Promise.resolve(void (leaves[name] = leave)),
      },
    });
    const network: ProbedNetwork = {
      vxlan: "flx-4097",
      gateway: `gateway of ${name}`,
      peers: [{ nodeId: other, gateway: `gateway of ${other}` }],
    };
    return { probe, network };
  });
  const look = async (times: number) => {
    for (let i = 0; i < times; i++) {
      for (const { probe, network } of nodes) {
        await probe.look([network], new AbortController().signal);
      }
      await clock.advance(5_000);
    }
    return nodes.map(({ probe }) => probe.mode);
  };
  return { look, leaves, said, up, nodes, clock };
}

Deno.test("offload probe: where all is well nothing is changed", async () => {
  const { look, leaves, said } = setUp({});
  deepStrictEqual(await look(5), ["hardware", "hardware"]);
  deepStrictEqual(leaves, { a: true, b: true });
  deepStrictEqual(said, []);
});

Deno.test("offload probe: only the node whose card damages packets stops using it", async () => {
  const { look, leaves, said } = setUp({ b: true });
  deepStrictEqual(await look(20), ["hardware", "kernel"]);
  deepStrictEqual(leaves, { a: true, b: false });
  strictEqual(said.filter((line) => /arrive damaged/.test(line)).length, 1);
});

Deno.test("offload probe: two damaging cards are found although neither hears the other at first", async () => {
  const { look, leaves } = setUp({ a: true, b: true });
  deepStrictEqual(await look(20), ["kernel", "kernel"]);
  deepStrictEqual(leaves, { a: false, b: false });
});

Deno.test("offload probe: a peer that is late is no reason, one that never comes is named once", async () => {
  const late = setUp({}, { b: false });
  await late.look(5);
  late.up.b = true;
  deepStrictEqual(await late.look(3), ["hardware", "hardware"]);
  deepStrictEqual(late.leaves, { a: true, b: true });
  deepStrictEqual(late.said, []);

  const never = setUp({}, { b: false });
  deepStrictEqual(await never.look(30), ["hardware", "hardware"]);
  deepStrictEqual(never.leaves, { a: true, b: true });
  strictEqual(never.said.filter((line) => /does not answer/.test(line)).length, 1);
});

Deno.test("offload probe: what an earlier agent found is kept, for new devices as well", async () => {
  const { nodes, leaves, clock } = setUp({ a: true });
  leaves.a = false;
  const { probe, network } = nodes[0]!;
  await probe.look([network], new AbortController().signal);
  strictEqual(probe.mode, "kernel");
  leaves.a = true;
  await clock.advance(5_000);
  await probe.look([network], new AbortController().signal);
  strictEqual(leaves.a, false);
});
