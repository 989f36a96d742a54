import assert from "node:assert/strict";
import { BatchEncoder } from "../../adapters/rpc/raft_codec.ts";
import { sendSnapshot } from "../../adapters/rpc/raft_snapshot_stream.ts";
import { eventually, systemClock } from "../../adapters/rpc/test_support.ts";
import type { RpcStream } from "../../adapters/rpc/types.ts";
import { encodeConfChange } from "../../core/raft/conf_change.ts";
import type { Append } from "../../core/raft/message.ts";
import { MAX_VOUCHED, MemberDoor } from "./member_door.ts";
import type { MemberDoorOptions } from "./member_door.ts";
import { RealManagers } from "../../../tests/support/real_managers.ts";
import type { RealManager } from "../../../tests/support/real_managers.ts";

const FORGED_TERM = 99;
/** An index that no log here reaches. */
const CLAIM = 1e12;

/** What somebody who wants to take over `victim` would send: the lead, and a membership of its own. */
function forged(from: string, victim: RealManager): Append {
  const { lastIndex, commit, term } = victim.manager.runner.node.status();
  const data = encodeConfChange({ type: "add-voter", id: from });
  return {
    type: "append",
    from,
    to: victim.id,
    term: FORGED_TERM,
    prevIndex: lastIndex,
    prevTerm: term,
    entries: [{ index: lastIndex + 1, term: FORGED_TERM, type: "conf", data }],
    commit: commit + 1,
    expect: 0,
  };
}

/** What is said on a stream, until it ends. */
async function ending(stream: RpcStream): Promise<string> {
  try {
    for await (const _ of stream) { /* its hello, its answers */ }
    return "it ended";
  } catch (error) {
    return String(error);
  }
}

/** Everything that a demoted manager's certificate gets it at `victim`, which has to go on as if nothing had been. */
async function attack(managers: RealManagers, victim: RealManager, as: string): Promise<void> {
  const caller = await managers.dial(victim.id, as);
  const { runner, store } = victim.manager;
  const before = store.capture();
  for (const joinedIndex of [0, runner.applied, CLAIM, Number.MAX_SAFE_INTEGER]) {
    const hello = { joinedIndex, starts: 1, name: `attack${joinedIndex}` };
    const stream = caller.open("raft.messages", { hello });
    const said = ending(stream);
    const batch = new BatchEncoder(as, victim.id);
    batch.add(forged(as, victim));
    await stream.send(batch.take()).catch(() => {});
    const conf = { voters: [as], learners: [] };
    const meta = { index: runner.applied + 100, term: FORGED_TERM, conf };
    const snapshot = { meta, data: new Uint8Array(100) };
    const message = { type: "snapshot", from: as, to: victim.id, term: FORGED_TERM } as const;
    await assert.rejects(
      sendSnapshot(caller, { ...message, snapshot }, systemClock),
      /forbidden|let in/,
    );
    const { term, leader, conf: now } = runner.node.status();
    assert.ok(term < FORGED_TERM, `it follows a forged term, with ${joinedIndex}`);
    assert.notEqual(leader, as);
    assert.ok(!now.voters.includes(as), "a foreign membership");
    assert.match(await said, new RegExp(`node ${as} .*member of the consensus group|removed`));
  }
  assert.deepEqual(store.capture().index, before.index);
  caller.close();
}

Deno.test("a demoted manager with its old certificate is heard by no member", async () => {
  await using managers = await RealManagers.prepare(["m1"], { workers: ["old"] });
  const one = await managers.start("m1");
  await eventually("it leads", () => one.manager.runner.leading);
  // One that it does not know has a certificate, too, when the cluster was made anew from an old log.
  for (const as of ["old", "stranger"]) await attack(managers, one, as);
  assert.ok(one.manager.runner.leading);
});

Deno.test("nor by leaders and followers of several, nor under an id that nobody knows", async () => {
  const ids = ["m1", "m2", "m3"];
  await using managers = await RealManagers.prepare(ids, { workers: ["old"] });
  const all = await Promise.all(ids.map((id) => managers.start(id)));
  await eventually("one leads", () => all.some(({ manager }) => manager.runner.leading), 60_000);
  await eventually("all follow", () => all.every(({ manager }) => manager.runner.leader !== ""));
  for (const victim of all) {
    for (const as of ["old", "stranger"]) await attack(managers, victim, as);
  }
});

Deno.test("a member that was away follows a leader that was added meanwhile, and so does a new one", async () => {
  await using managers = await RealManagers.prepare(["m1", "m2", "m3"]);
  const running = [await managers.start("m1"), await managers.start("m2")];
  const leader = () => running.find(({ manager }) => manager.runner.leading)?.manager;
  await eventually("one leads", () => leader() !== undefined, 60_000);
  const add = async (id: string) => {
    await managers.listen(id);
    const node = {
      ...leader()!.store.get("node", "m1")!,
      ID: id,
      ManagerAddr: managers.address(id),
    };
    await leader()!.write(({ tx }) => tx.create("node", node));
    const knownManagers = leader()!.members();
    const joinedIndex = await leader()!.runner.proposeConfChange({ type: "add-learner", id });
    return { knownManagers, joinedIndex };
  };
  const fourth = await managers.start("m4", await add("m4"));
  await eventually(
    "it is a voter",
    () => running.every(({ manager }) => manager.confState().voters.includes("m4")),
    60_000,
  );
  await eventually("it leads", () => {
    leader()?.runner.transferLeadership("m4");
    return fourth.manager.runner.leading;
  }, 60_000);
  running.push(fourth);

  const away = await managers.start("m3");
  await eventually("it follows", () => away.manager.runner.leader === "m4", 60_000);
  await eventually("it knows", () => away.manager.confState().voters.includes("m4"), 60_000);

  // What the new one is told first does not name who comes to lead while it catches up.
  const joined = await add("m5");
  const knownManagers = joined.knownManagers.filter(({ nodeId }) => nodeId !== "m4");
  const fifth = await managers.start("m5", { ...joined, knownManagers });
  await eventually("it catches up", () => fifth.manager.confState().voters.includes("m5"), 60_000);
});

Deno.test("one that has just joined listens to those that the leader named, and to nobody else", async () => {
  await using managers = await RealManagers.prepare(["m1"], { workers: ["old"] });
  await managers.listen("m2");
  const knownManagers = [{ nodeId: "m1", addr: managers.address("m1") }];
  const fresh = await managers.start("m2", { joinedIndex: 1_000, knownManagers });
  for (const as of ["old", "stranger"]) await attack(managers, fresh, as);
});

Deno.test("strangers that were vouched for: the oldest makes room, and is asked after again", async () => {
  let asked = 0;
  const strangers = Array.from({ length: MAX_VOUCHED + 1 }, (_, i) => `s${i}`);
  const members = strangers.map((nodeId) => ({ nodeId }));
  const caller = {
    call: () => Promise.resolve({ members, index: 10 }),
    close: () => asked++,
  };
  const door = new MemberDoor({
    nodeId: "own",
    membership: { includes: () => false, peers: () => [{ nodeId: "m", addr: "m:2377" }] },
    dialer: { connect: () => Promise.resolve(caller) },
    applied: () => 1,
    joinedIndex: 1,
  } as unknown as MemberDoorOptions);
  const newest = strangers.at(-1)!;
  for (const id of strangers) await door.enquire(id, 5);
  assert.equal(asked, strangers.length);
  door.assertMember(newest);
  assert.throws(() => door.assertMember(strangers[0]!), /node s0 is no member/);
  await door.enquire(newest, 5);
  assert.equal(asked, strangers.length);
  await door.enquire(strangers[0]!, 5);
  door.assertMember(strangers[0]!);
});
