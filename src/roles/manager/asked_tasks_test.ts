import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import type { Node } from "../../model/node.ts";
import type { View } from "../../model/view.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import type { RpcContext, RpcStream } from "../rpc.ts";
import { AskedTasks } from "./asked_tasks.ts";

const question = { taskId: "", nodeId: "n1", path: "about" };

class World {
  readonly clock = new ManualClock();
  readonly sent: string[] = [];
  connected = false;
  readonly asked = new AskedTasks(this.clock, () => `r${++this.#ids}`);
  #ids = 0;

  constructor(readonly state: Node["Status"]["State"]) {}

  open() {
    const node = {
      ID: "n1",
      Spec: { Name: "h1" },
      Description: { Hostname: "h1" },
      Status: { State: this.state },
    };
    const view = { get: () => node } as unknown as View;
    const send = (nodeId: string, requestId: string) => {
      if (this.connected) this.sent.push(`${nodeId} ${requestId}`);
      return this.connected;
    };
    return this.asked.open(view, question, send, new AbortController().signal);
  }
}

Deno.test("a node that has yet to come back after a change of leader is asked when it does", async () => {
  for (const state of ["unknown", "ready"] as const) {
    const world = new World(state);
    const opened = world.open();
    world.asked.connected("n2");
    world.connected = true;
    assert.deepEqual(world.sent, []);
    world.asked.connected("n1");
    world.asked.connected("n1");
    assert.deepEqual(world.sent, ["n1 r1"], "asked once");
    const stream = { meta: { requestId: "r1" }, cancel: () => {} } as unknown as RpcStream;
    const served = world.asked.serve(
      stream,
      { peer: { role: "worker", nodeId: "n1" } } as unknown as RpcContext,
    );
    const { stream: got, finish } = await opened;
    assert.equal(got, stream);
    finish();
    await served;
  }
});

Deno.test("one that does not come is named after five seconds, one that is down at once", async () => {
  const world = new World("unknown");
  const opened = assert.rejects(
    world.open(),
    (error) =>
      error instanceof FleetError && /node h1 is not connected \(about\)/.test(error.message),
  );
  await world.clock.advance(5_000);
  await opened;
  await assert.rejects(new World("down").open(), /node h1 is not connected \(about\)/);
});
