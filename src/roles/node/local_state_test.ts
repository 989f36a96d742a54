import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import type { Manager } from "../manager/manager.ts";
import { heardManagersState } from "./local_state.ts";

/** A manager of three: "m2" leads, and to this one all seem to be there. */
function manager(leading: boolean, answer: () => unknown): Manager {
  const member = (nodeId: string) => ({
    nodeId,
    addr: `${nodeId}:2377`,
    leader: nodeId === "m2",
    voter: true,
    reachable: true,
  });
  return {
    runner: { leading },
    members: () => ["m1", "m2", "m3"].map(member),
    onLeader: async (route: string) => {
      assert.equal(route, "cluster.reachable");
      return await answer();
    },
  } as unknown as Manager;
}

const reachable = async (of: Manager) =>
  (await heardManagersState(of, new AbortController().signal)).managers
    .filter(({ reachable }) => reachable).map(({ nodeId }) => nodeId);

Deno.test("who can be reached is the leader's word, wherever one asks", async () => {
  assert.deepEqual(
    await reachable(manager(false, () => ({ reachable: ["m1", "m2"], silent: ["n9"] }))),
    [
      "m1",
      "m2",
    ],
  );
  const nobody = () => {
    throw new Error("the leader was asked");
  };
  assert.deepEqual(await reachable(manager(true, nobody)), ["m1", "m2", "m3"]);
});

Deno.test("a leader that cannot be asked leaves the own picture", async () => {
  const refuses = () => {
    throw new FleetError("unimplemented", "no such route");
  };
  assert.deepEqual(await reachable(manager(false, refuses)), ["m1", "m2", "m3"]);
  assert.deepEqual(await reachable(manager(false, () => "m1")), ["m1", "m2", "m3"]);
});
