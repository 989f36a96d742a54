import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import type { RpcCaller } from "../rpc.ts";
import { LeaderCalls } from "./leader_calls.ts";

type Leader = { nodeId: string; addr: string } | "here" | undefined;

function setUp(leader: () => Leader) {
  const clock = new ManualClock();
  const dialed: string[] = [];
  const closing = new Map<string, AbortController>();
  const calls = new LeaderCalls({
    clock,
    leader,
    noLeader: () => "quorum is lost; check m2",
    dialer: {
      connect: (address, options) => {
        dialed.push(`${address} as ${options?.expectNodeId}`);
        const closed = new AbortController();
        closing.set(address, closed);
        return Promise.resolve({
          address,
          closed: closed.signal,
          call: (route: string) => Promise.resolve(`${route} at ${address}`),
          close: () => closed.abort(),
        } as unknown as RpcCaller);
      },
    },
  });
  return { calls, clock, dialed, closing };
}

const here = () => Promise.resolve("here");

Deno.test("leader calls: one connection serves many calls, and follows the leader", async () => {
  let leader: Leader = { nodeId: "m1", addr: "m1:2377" };
  const { calls, dialed, closing } = setUp(() => leader);
  strictEqual(await calls.call("control", {}, here), "control at m1:2377");
  await calls.call("control", {}, here);
  deepStrictEqual(dialed, ["m1:2377 as m1"]);
  leader = { nodeId: "m2", addr: "m2:2377" };
  await calls.call("control", {}, here);
  deepStrictEqual(dialed, ["m1:2377 as m1", "m2:2377 as m2"]);
  strictEqual(closing.get("m1:2377")!.signal.aborted, true);
  // The connection broke meanwhile.
  closing.get("m2:2377")!.abort();
  await calls.call("control", {}, here);
  strictEqual(dialed.length, 3);
  calls.close();
  strictEqual(closing.get("m2:2377")!.signal.aborted, true);
});

Deno.test("leader calls: many at a time share one connection, and none is left open", async () => {
  let leader: Leader = { nodeId: "m1", addr: "m1:2377" };
  const { calls, dialed, closing } = setUp(() => leader);
  const many = () => Promise.all(Array.from({ length: 20 }, () => calls.call("control", {}, here)));
  const gone = AbortSignal.abort(new Error("gone"));
  await rejects(calls.call("control", {}, here, gone), /gone/);
  await many();
  deepStrictEqual(dialed, ["m1:2377 as m1"]);
  const first = closing.get("m1:2377")!;
  leader = { nodeId: "m2", addr: "m2:2377" };
  await many();
  deepStrictEqual(dialed, ["m1:2377 as m1", "m2:2377 as m2"]);
  strictEqual(first.signal.aborted, true);
  calls.close();
  strictEqual(closing.get("m2:2377")!.signal.aborted, true);
});

Deno.test("leader calls: who leads by now does it itself", async () => {
  let leader: Leader = undefined;
  const { calls, clock, dialed } = setUp(() => leader);
  const call = calls.call("control", {}, here);
  await clock.advance(500);
  leader = "here";
  await clock.advance(100);
  strictEqual(await call, "here");
  deepStrictEqual(dialed, []);
});

Deno.test("leader calls: without a leader they wait as long as an election, and say what is missing", async () => {
  const { calls, clock } = setUp(() => undefined);
  const failed = rejects(
    calls.call("control", {}, here),
    (error) =>
      error instanceof FleetError && error.kind === "unavailable" && /check m2/.test(error.message),
  );
  await clock.advance(4_000);
  await failed;
  const stop = new AbortController();
  const cancelled = rejects(calls.call("control", {}, here, stop.signal), /gone/);
  stop.abort(new Error("gone"));
  await clock.advance(100);
  await cancelled;
});
