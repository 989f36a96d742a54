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
  const unplugged: (readonly string[])[] = [];
  let pull: (container: string | undefined) => void = () => {};
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
      unplug: async (containers) => void unplugged.push([...containers]),
      watch: async (tell) => void (pull = tell),
    },
  });
  const abort = new AbortController();
  const update = async (networks: readonly DesiredNetwork[], look = false) => {
    paths.update(networks, look, abort.signal);
    await clock.advance(0);
  };
  void paths.run(abort.signal);
  const lose = async (...containers: (string | undefined)[]) => {
    for (const container of containers) pull(container);
    await clock.settle();
  };
  return { clock, applied, unplugged, said, state, paths, abort, update, lose };
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

Deno.test("direct paths: a cable that is gone does not wait for the rest, the next look does", async () => {
  const { clock, applied, unplugged, update, lose } = setUp();
  await update(withTasks("a"));
  await lose("c1");
  deepStrictEqual(unplugged, [["c1"]]);
  await update(withTasks("a", "b"));
  await lose("c2", "c3");
  deepStrictEqual([unplugged, applied], [[["c1"], ["c2", "c3"]], [["a"]]]);
  await clock.advance(1_000);
  deepStrictEqual(applied, [["a"], ["a", "b"]]);
});

Deno.test("direct paths: where events may have been missed all cables are looked at", async () => {
  const { clock, applied, unplugged, update, lose } = setUp();
  await lose(undefined);
  deepStrictEqual(applied, [], "what an earlier agent made stays until networks are known");
  await update(withTasks("a"));
  await clock.advance(5_000);
  await lose(undefined);
  deepStrictEqual([applied, unplugged], [[["a"], ["a"]], []]);
});

Deno.test("direct paths: a node that leaves does not rest", async () => {
  const { applied, update } = setUp();
  await update(withTasks("a"));
  await update([]);
  deepStrictEqual(applied, [["a"], []]);
});
