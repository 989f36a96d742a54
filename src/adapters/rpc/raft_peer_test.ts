import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { RaftPeer } from "./raft_peer.ts";

Deno.test("a member that is not there is dialled less and less often, and at once when it is heard of", async () => {
  const clock = new ManualClock();
  const dialled: number[] = [];
  let unreachable = 0;
  const peer = new RaftPeer({
    self: "a",
    id: "b",
    addr: "b:2377",
    hello: {},
    dialer: {
      connect: () => {
        dialled.push(clock.monotonic());
        return Promise.reject(new FleetError("unavailable", "nobody there"));
      },
    },
    clock,
    random: new SeededRandom(1),
    logger: silentLogger,
    events: {
      admit: () => {},
      refused: () => {},
      receive: () => {},
      connected: () => {},
      disconnected: () => {},
      unreachable: () => void unreachable++,
      snapshotSent: () => {},
    },
  });
  const running = peer.run();
  await clock.advance(30_000);
  const waits = dialled.slice(1).map((at, i) => at - dialled[i]!);
  ok(waits[0]! <= 100, `the first retry came after ${waits[0]} ms`);
  ok(waits.slice(0, 4).every((wait, i) => i === 0 || wait > waits[i - 1]!), waits.join(", "));
  ok(waits.every((wait) => wait <= 2_000), waits.join(", "));
  ok(waits.slice(6).every((wait) => wait >= 1_000), waits.join(", "));
  strictEqual(unreachable, dialled.length);
  const before = dialled.length;
  peer.retryNow();
  await clock.settle();
  strictEqual(dialled.length, before + 1);
  peer.stop();
  await running;
  await clock.advance(30_000);
  deepStrictEqual([dialled.length, clock.timers], [before + 1, 0]);
});
