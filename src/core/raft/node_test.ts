import { DEFAULT_ELECTION_TICKS } from "./config.ts";
import assert from "node:assert/strict";
import { TestCluster } from "./test_cluster.ts";

const three = () => new TestCluster(["1", "2", "3"]);
const bytes = (n: number) => new Uint8Array(n);

Deno.test("a single voter elects itself and commits once persisted", () => {
  const cluster = new TestCluster(["1"]);
  const { node } = cluster.member("1");
  node.campaign();
  assert.equal(node.status().role, "candidate", "its own vote is not on disk yet");
  cluster.settle();
  assert.equal(node.status().role, "leader");
  const { index } = node.propose(bytes(1));
  const ready = node.ready();
  assert.equal(ready.mustSync, true);
  assert.deepEqual(ready.committed, [], "what is not on disk is not committed");
  cluster.member("1").persist(ready);
  node.advance();
  assert.equal(node.status().commit, index);
});

Deno.test("three members elect, replicate and apply the same", () => {
  const cluster = three();
  cluster.elect("2");
  cluster.propose("2", "x");
  cluster.propose("2", "y");
  cluster.tick();
  for (const id of ["1", "2", "3"]) assert.deepEqual(cluster.texts(id), ["x", "y"]);
  assert.equal(cluster.node("3").status().leader, "2");
});

Deno.test("a member that answers is never called silent, one that does not is after an election timeout", () => {
  const cluster = three();
  cluster.elect("1");
  const electionTicks = DEFAULT_ELECTION_TICKS;
  const heard = () => cluster.node("1").status().peers.map(({ recentActive }) => recentActive);
  for (let i = 0; i < 3 * electionTicks; i++) {
    cluster.node("1").tick();
    assert.deepEqual(heard().slice(1), [true, true], `tick ${i}`);
    cluster.settle();
  }
  cluster.member("3").down = true;
  for (let i = 0; i < electionTicks + 1; i++) {
    cluster.node("1").tick();
    cluster.settle();
  }
  assert.deepEqual(heard().slice(1), [true, false]);
});

Deno.test("a new leader takes only those for there that have answered it", () => {
  const cluster = three();
  cluster.elect("1");
  cluster.member("1").down = true;
  const leader = () => ["2", "3"].find((id) => cluster.node(id).status().role === "leader");
  for (let i = 0; i < 100 && leader() === undefined; i++) cluster.tick(1);
  const peers = () => cluster.node(leader()!).status().peers;
  const heard = () => peers().filter(({ recentActive }) => recentActive).map(({ id }) => id).sort();
  assert.deepEqual(heard(), ["2", "3"]);
  cluster.member("1").down = false;
  cluster.tick(3);
  assert.deepEqual(heard(), ["1", "2", "3"]);
});

Deno.test("timeouts alone bring a leader, and another one after it died", () => {
  const cluster = three();
  cluster.tick(40);
  const leader = (except = "") =>
    [...cluster.members].find(([id, m]) => id !== except && m.node.status().role === "leader")?.[0];
  const first = leader();
  assert.ok(first);
  cluster.member(first).down = true;
  cluster.tick(60);
  assert.ok(leader(first));
});

Deno.test("proposals between two Readies share one append", () => {
  const cluster = three();
  cluster.elect("1");
  for (let i = 0; i < 10; i++) cluster.node("1").propose(bytes(10));
  const ready = cluster.pump("1");
  const appends = ready.messagesEarly.filter((m) => m.type === "append");
  assert.equal(appends.length, 2);
  assert.ok(appends.every((m) => m.type === "append" && m.entries.length === 10));
});

Deno.test("appends are pipelined up to the window", () => {
  const cluster = new TestCluster(["1", "2"], { maxInflightMessages: 3, maxMessageBytes: 100 });
  cluster.elect("1");
  let sent = 0;
  for (let i = 0; i < 8; i++) {
    cluster.node("1").propose(bytes(90));
    sent += cluster.pump("1").messagesEarly.length;
  }
  assert.equal(sent, 3);
  cluster.settle();
  assert.equal(cluster.node("2").status().lastIndex, cluster.node("1").status().lastIndex);
});

Deno.test("a leader refuses more than the uncommitted limit, and takes more after a commit", () => {
  const cluster = new TestCluster(["1", "2", "3"], { maxUncommittedBytes: 1000 });
  cluster.elect("1");
  const { node } = cluster.member("1");
  node.propose(bytes(5000));
  assert.throws(() => node.propose(bytes(10)), { kind: "unavailable" });
  cluster.settle();
  assert.equal(node.status().uncommittedBytes, 0);
  node.propose(bytes(10));
});

Deno.test("proposals are refused elsewhere than on the leader, with its name", () => {
  const cluster = three();
  assert.throws(() => cluster.node("1").propose(bytes(1)), /no manager leads/);
  cluster.elect("2");
  assert.throws(() => cluster.node("1").propose(bytes(1)), /2 does/);
});

Deno.test("a follower that missed a lot gets a snapshot, then entries", () => {
  const cluster = three();
  cluster.elect("1");
  cluster.isolate("3");
  for (let i = 0; i < 20; i++) cluster.propose("1", `e${i}`);
  cluster.member("1").compact(3);
  cluster.propose("1", "after");
  cluster.heal();
  let snapshots = 0;
  cluster.drop = (m) => m.type === "snapshot" && snapshots++ > 0;
  cluster.tick(3);
  assert.equal(snapshots, 1);
  assert.deepEqual(cluster.texts("3"), cluster.texts("1"));
  assert.equal(cluster.node("1").status().peers[2]?.state, "replicate");
});

Deno.test("a snapshot that got lost is sent again", () => {
  const cluster = three();
  cluster.elect("1");
  cluster.isolate("3");
  for (let i = 0; i < 20; i++) cluster.propose("1", `e${i}`);
  cluster.member("1").compact();
  cluster.drop = (m) => m.type === "snapshot";
  cluster.tick(3);
  cluster.heal();
  cluster.node("1").reportSnapshot("3", false);
  cluster.tick(3);
  assert.deepEqual(cluster.texts("3"), cluster.texts("1"));
});

Deno.test("a restarted member applies everything again from its log", () => {
  const cluster = three();
  cluster.elect("1");
  for (let i = 0; i < 5; i++) cluster.propose("1", `e${i}`);
  cluster.tick();
  cluster.member("2").restart();
  cluster.tick(2);
  assert.deepEqual(cluster.texts("2"), cluster.texts("1"));
  assert.deepEqual(cluster.member("2").conf.voters, ["1", "2", "3"]);
});

Deno.test("a closed connection makes the survivors elect within a few ticks, without a split", () => {
  for (let seed = 0; seed < 5; seed++) {
    const cluster = new TestCluster(["1", "2", "3", "4", "5"]);
    cluster.elect("1");
    cluster.tick(seed);
    cluster.member("1").down = true;
    for (const id of ["2", "3", "4", "5"]) cluster.node(id).leaderLost("1");
    cluster.tick(1);
    assert.equal(cluster.node("2").status().role, "leader");
    assert.equal(cluster.node("5").status().leader, "2");
  }
});

Deno.test("with a closed connection to a living leader nothing changes", () => {
  const cluster = three();
  cluster.elect("1");
  const { term } = cluster.node("1").status();
  cluster.node("2").leaderLost();
  cluster.tick(5);
  assert.equal(cluster.node("1").status().role, "leader");
  assert.equal(cluster.node("2").status().leader, "1");
  assert.equal(cluster.node("2").status().term, term);
});

Deno.test("a learner is added, caught up, promoted, and the leader removed", () => {
  const cluster = new TestCluster(["1"]);
  cluster.elect("1");
  cluster.propose("1", "before");
  cluster.add("2");
  cluster.node("1").proposeConfChange({ type: "add-learner", id: "2" });
  cluster.settle();
  assert.deepEqual(cluster.texts("2"), ["before"]);
  assert.equal(cluster.node("1").status().peers[1]?.learner, true);
  cluster.node("1").proposeConfChange({ type: "promote", id: "2" });
  cluster.settle();
  assert.deepEqual(cluster.member("2").conf.voters, ["1", "2"]);
  cluster.node("1").proposeConfChange({ type: "remove", id: "1" });
  cluster.settle();
  assert.deepEqual(cluster.member("2").conf.voters, ["2"]);
  assert.equal(cluster.node("2").status().role, "leader", "the heir was asked at once");
  assert.equal(cluster.node("1").status().role, "follower");
});

Deno.test("the last member left learns of that from the removed one, whose log is longer", () => {
  const cluster = new TestCluster(["1", "2"]);
  cluster.elect("1");
  cluster.node("1").proposeConfChange({ type: "remove", id: "1" });
  cluster.pumpAll();
  for (const m of cluster.queue.splice(0)) cluster.deliver(m);
  cluster.pump("2");
  // The removal is in both logs, and only 1 knows that it is committed; what it appends then gets lost.
  cluster.node("1").propose(bytes(1));
  cluster.drop = (m) => m.from === "1";
  cluster.settle();
  assert.deepEqual(cluster.member("1").conf.voters, ["2"]);
  assert.deepEqual(cluster.member("2").conf.voters, ["1", "2"]);
  cluster.heal();
  cluster.member("1").restart();
  cluster.node("2").leaderLost();
  cluster.tick(40);
  assert.equal(cluster.node("2").status().role, "leader");
  assert.deepEqual(cluster.member("2").conf.voters, ["2"]);
});

Deno.test("membership changes that cannot be are refused with the reason", () => {
  const cluster = three();
  cluster.elect("1");
  const { node } = cluster.member("1");
  assert.throws(() => node.proposeConfChange({ type: "add-learner", id: "2" }), /member already/);
  assert.throws(() => node.proposeConfChange({ type: "promote", id: "9" }), /no member/);
  assert.throws(() => node.proposeConfChange({ type: "remove", id: "9" }), /no member/);
  assert.throws(() => node.proposeConfChange({ type: "add-voter", id: "4" }), { kind: "invalid" });
  node.proposeConfChange({ type: "add-learner", id: "4" });
  assert.throws(
    () => node.proposeConfChange({ type: "remove", id: "3" }),
    /another change .* under way/,
  );
  cluster.settle();
  assert.throws(() => node.proposeConfChange({ type: "promote", id: "4" }), /caught up/);
  const alone = new TestCluster(["1"]);
  alone.elect("1");
  assert.throws(
    () => alone.node("1").proposeConfChange({ type: "remove", id: "1" }),
    /last voter/,
  );
});

Deno.test("a member restored from an old disk image finds out before it votes", () => {
  const cluster = three();
  cluster.elect("1");
  for (let i = 0; i < 10; i++) cluster.propose("1", `e${i}`);
  cluster.tick(2);
  // Member 1, which knew everything, is gone; 2 remembers from its heartbeats.
  cluster.member("1").down = true;
  cluster.member("3").forget(["1", "2", "3"]);
  cluster.tick(60);
  const { regressed, vote, role } = cluster.node("3").status();
  assert.equal(regressed?.from, "2");
  assert.equal(regressed?.lastIndex, 3);
  assert.equal(vote, "");
  assert.equal(role, "follower");
  assert.notEqual(cluster.node("2").status().role, "leader", "nobody may lead on its word");
});

Deno.test("the leader sees that a follower lost its data and does not count it", () => {
  const cluster = new TestCluster(["1", "2"]);
  cluster.elect("1");
  cluster.propose("1", "x");
  cluster.tick(2);
  const two = cluster.member("2");
  two.forget([]);
  cluster.tick(2);
  assert.equal(cluster.node("1").status().peers[1]?.regressed, true);
  assert.ok(two.node.status().regressed);
  cluster.tick(30);
  assert.notEqual(cluster.node("1").status().role, "leader", "the quorum is gone");
});

Deno.test("a former member that joined anew is not taken for one that lost its data", () => {
  const cluster = new TestCluster(["1", "2"]);
  cluster.elect("1");
  cluster.propose("1", "x");
  cluster.tick(2);
  const two = cluster.member("2");
  two.forget([]);
  two.restart({ joinedIndex: 1000 });
  two.node.step({
    type: "pre-vote",
    from: "1",
    to: "2",
    term: 9,
    lastIndex: 9,
    lastTerm: 9,
    force: false,
    expect: 4,
  });
  assert.equal(two.node.status().regressed, undefined);
  const [reply] = two.node.ready().messages;
  assert.ok(
    reply?.type === "pre-vote-reply" && reply.reject,
    "it may have voted in its earlier life",
  );
});

Deno.test("a former only voter that joined anew does not lead by its old membership", () => {
  const cluster = new TestCluster(["1"]);
  const one = cluster.member("1");
  one.restart({ joinedIndex: 9 });
  cluster.settle();
  assert.deepEqual(one.conf.voters, ["1"], "so its log says so far");
  one.node.campaign();
  cluster.tick(50);
  assert.equal(one.node.status().role, "follower");
});

Deno.test("reads wait for one heartbeat round, however many they are", () => {
  const cluster = three();
  cluster.elect("1");
  for (let i = 0; i < 50; i++) cluster.node("1").readIndex(`r${i}`);
  const ready = cluster.pump("1");
  assert.equal(ready.messagesEarly.filter((m) => m.type === "heartbeat").length, 2);
  assert.deepEqual(ready.readStates, []);
  cluster.settle();
  assert.equal(cluster.member("1").readStates.length, 50);
});

Deno.test("between ready and advance messages may come and truncate what is being written", () => {
  const cluster = three();
  cluster.elect("1");
  cluster.isolate("1");
  cluster.node("1").propose(bytes(1));
  cluster.node("1").propose(bytes(2));
  const member = cluster.member("1");
  const ready = member.node.ready();
  member.down = true;
  cluster.node("3").leaderLost();
  cluster.elect("2");
  member.down = false;
  cluster.propose("2", "wins");
  cluster.heal();
  // The new leader's entry arrives while the old ones are still on their way to the disk.
  cluster.node("2").tick();
  const { lastIndex, term } = cluster.node("2").status();
  const log = cluster.member("2").storage;
  member.node.step({
    type: "append",
    from: "2",
    to: "1",
    term,
    prevIndex: lastIndex - 2,
    prevTerm: log.term(lastIndex - 2)!,
    entries: log.entries(lastIndex - 1, lastIndex + 1, 1e9),
    commit: lastIndex,
    expect: 0,
  });
  member.persist(ready);
  member.apply(ready);
  member.node.advance();
  cluster.tick(3);
  assert.deepEqual(cluster.texts("1"), ["wins"]);
  assert.equal(member.storage.lastIndex(), lastIndex);
});

Deno.test("periods can be changed while a member runs; impossible ones assert", () => {
  const cluster = three();
  cluster.elect("1");
  const { node } = cluster.member("1");
  const heartbeats = (ticks: number) => {
    let count = 0;
    for (let i = 0; i < ticks; i++) {
      node.tick();
      count += cluster.pump("1").messagesEarly.filter((m) => m.type === "heartbeat").length / 2;
      cluster.settle();
    }
    return count;
  };
  assert.equal(heartbeats(8), 8);
  node.setTiming(4, 40);
  assert.equal(heartbeats(8), 2);
  assert.throws(() => node.setTiming(4, 4), /elections must wait longer/);
});
