import { deepStrictEqual } from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { DirectPaths } from "./direct_paths.ts";

const withTasks = (...tasks: string[]) => [
  { id: "net", tasks, remotes: [{ address: "10.0.1.9" }] } as unknown as DesiredNetwork,
];

function setUp() {
  const clock = new ManualClock();
  const applied: (readonly string[])[] = [];
  const said: string[] = [];
  const state = { fails: false };
  const paths = new DirectPaths({
    clock,
    logger: { ...silentLogger, log: (level, message) => void said.push(`${level} ${message}`) },
    host: {
      apply: (networks) => {
        applied.push(networks.flatMap(({ tasks }) => tasks));
        return state.fails ? Promise.reject(new Error("no such kernel")) : Promise.resolve();
      },
    },
  });
  const abort = new AbortController();
  const update = async (networks: readonly DesiredNetwork[], look = false) => {
    paths.update(networks, look, abort.signal);
    await clock.advance(0);
  };
  return { clock, applied, said, state, paths, abort, update };
}

Deno.test("direct paths: changes at once, then one look a second, with the newest", async () => {
  const { clock, applied, update } = setUp();
  await update(withTasks("a"));
  await update(withTasks("a", "b"));
  await update(withTasks("a", "b", "c"));
  deepStrictEqual(applied, [["a"]]);
  await clock.advance(1_000);
  deepStrictEqual(applied, [["a"], ["a", "b", "c"]]);
});

Deno.test("direct paths: the same again asks nobody, but for an audit", async () => {
  const { clock, applied, update } = setUp();
  for (const look of [false, false, true]) {
    await update(withTasks("a"), look);
    await clock.advance(5_000);
  }
  deepStrictEqual(applied, [["a"], ["a"]]);
});

Deno.test("direct paths: what fails is said once, and tried again when asked again", async () => {
  const { clock, applied, said, state, update } = setUp();
  state.fails = true;
  for (let i = 0; i < 3; i++) {
    await update(withTasks("a"));
    await clock.advance(5_000);
  }
  deepStrictEqual([applied.length, said.length], [3, 1]);
});

Deno.test("direct paths: end with the signal, also while they rest", async () => {
  const { paths, abort, applied, update } = setUp();
  await update(withTasks("a"));
  await update(withTasks("b"));
  abort.abort();
  await paths.settled();
  deepStrictEqual(applied, [["a"]]);
});
