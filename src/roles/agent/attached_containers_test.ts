import { deepStrictEqual } from "node:assert/strict";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { silentLogger } from "../../base/log.ts";
import type { Task } from "../../model/task.ts";
import { AttachedContainers } from "./attached_containers.ts";
import type { SeenContainer } from "./attached_containers.ts";

/** A node with one attachment, of which the managers hear; their word comes back when the test says. */
async function world(
  more: Partial<SeenContainer>,
  test: (world: {
    clock: ManualClock;
    container: (change: Partial<SeenContainer>) => void;
    task: (spec: { Idle?: boolean; ContainerID?: string }, address?: string) => void;
    said: string[];
    attached: AttachedContainers;
    policy: (has: boolean) => void;
    event: (id?: string) => void;
    refuse: (sentence: string | undefined) => void;
    looks: () => number;
  }) => Promise<void>,
): Promise<void> {
  const clock = new ManualClock();
  const said: string[] = [];
  let container: SeenContainer = {
    id: "c1",
    state: "running",
    createdMs: clock.now(),
    taskIds: ["t1"],
    addresses: { back: "10.0.0.5" },
    ...more,
  };
  let task: Task;
  let hasPolicy = false;
  let refusal: string | undefined;
  let looks = 0;
  let wake: (id?: string) => void = () => {};
  const setTask = (spec: object, address = "10.0.0.5") => {
    task = {
      ID: "t1",
      Spec: { NetworkAttachmentSpec: spec },
      Status: { State: "running" },
      NetworksAttachments: [{ NetworkID: "net", Name: "back", Addresses: [`${address}/24`] }],
    } as unknown as Task;
  };
  setTask({});
  const tell = (line: string) => {
    said.push(line);
    return refusal === undefined ? Promise.resolve() : Promise.reject(new Error(refusal));
  };
  const abort = new AbortController();
  const attached = new AttachedContainers({
    clock,
    logger: silentLogger,
    tasks: () => [task],
    look: {
      list: () => {
        looks++;
        return Promise.resolve([container]);
      },
      startsByItself: () => Promise.resolve(hasPolicy),
      move: (id, { network, address }) => tell(`move ${id} on ${network} to ${address}`),
      onChange: (ring) => {
        wake = ring;
        return () => {};
      },
    },
    places: {
      started: ({ taskIds }) => tell(`started ${taskIds}`),
      stopped: ({ taskId, keepAddress }) => tell(`stopped ${taskId}${keepAddress ? " kept" : ""}`),
    },
  });
  const running = attached.run(abort.signal);
  await clock.settle();
  try {
    await test({
      clock,
      container: (change) => container = { ...container, ...change },
      task: setTask,
      said,
      attached,
      policy: (has) => hasPolicy = has,
      event: (id = "c1") => wake(id),
      refuse: (sentence) => refusal = sentence,
      looks: () => looks,
    });
  } finally {
    abort.abort();
    await clock.advance(1_000);
    await running;
  }
}

Deno.test("attached containers: the managers hear of one that stops, and of its start, at once", async () => {
  await world({}, async ({ clock, container, task, said, event, looks }) => {
    await clock.advance(300);
    deepStrictEqual(said, []);
    const before = looks();
    event("of a service");
    await clock.settle();
    deepStrictEqual(looks(), before);
    event();
    await clock.advance(50);
    // Only now its list knows of what it told.
    container({ state: "exited", addresses: { back: "" } });
    await clock.advance(100);
    deepStrictEqual(said, ["stopped t1"]);
    task({ Idle: true });
    await clock.advance(5_500);
    deepStrictEqual(said, ["stopped t1"], "once is enough");
    container({ state: "running", addresses: { back: "10.0.0.5" } });
    event();
    await clock.settle();
    deepStrictEqual(said, ["stopped t1", "started t1"]);
  });
});

Deno.test("attached containers: who leaves hears of those that run, and of no others", async () => {
  await world({}, async ({ container, attached }) => {
    const running = async () =>
      (await attached.running(new AbortController().signal)).map(({ ID }) => ID);
    deepStrictEqual(await running(), ["t1"]);
    container({ state: "exited" });
    deepStrictEqual(await running(), []);
  });
});

Deno.test("attached containers: an event that is lost costs a second", async () => {
  await world({}, async ({ clock, container, said }) => {
    container({ state: "exited" });
    await clock.advance(1_000);
    deepStrictEqual(said.slice(0, 1), ["stopped t1"]);
  });
});

Deno.test("attached containers: one that the engine will start keeps its address", async () => {
  await world({}, async ({ clock, container, policy, said, event, task }) => {
    await clock.advance(300);
    policy(true);
    container({ state: "restarting" });
    event();
    await clock.settle();
    task({ Idle: true });
    deepStrictEqual(said, ["stopped t1 kept"]);
  });
});

Deno.test("attached containers: what was just created is about to start; what never does gives its place back", async () => {
  await world({ state: "created" }, async ({ clock, said }) => {
    await clock.advance(9_000);
    deepStrictEqual(said, []);
    await clock.advance(2_000);
    deepStrictEqual(said.slice(0, 1), ["stopped t1"]);
  });
});

Deno.test("attached containers: who started with an address that others have by now gets its own", async () => {
  await world({}, async ({ clock, container, task, said }) => {
    task({}, "10.0.0.9");
    await clock.advance(1_900);
    deepStrictEqual(said, [], "the managers' word may be on its way");
    await clock.advance(2_000);
    container({ addresses: { back: "10.0.0.9" } });
    deepStrictEqual(said, ["move c1 on back to 10.0.0.9"]);
    await clock.advance(10_000);
    deepStrictEqual(said.length, 1);
  });
});

Deno.test("attached containers: without managers it is tried until they hear; others' containers are nobody's", async () => {
  await world({}, async ({ clock, container, refuse, said, task }) => {
    refuse("no leader");
    container({ state: "exited" });
    await clock.advance(3_000);
    deepStrictEqual(new Set(said), new Set(["stopped t1"]));
    refuse(undefined);
    const tries = said.length;
    await clock.advance(1_000);
    deepStrictEqual(said.length > tries, true);
    said.length = 0;
    task({ ContainerID: "another" });
    await clock.advance(3_000);
    deepStrictEqual(said, []);
  });
});
