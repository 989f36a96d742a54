import assert from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import type { Message } from "../../core/raft/types.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { memoryRaftLog } from "../../../tests/support/memory_raft_log.ts";
import { TestCluster } from "../../../tests/support/test_cluster.ts";
import type { RpcCaller } from "../rpc.ts";
import { Manager } from "./manager.ts";
import type { ManagerOptions, RaftInbox } from "./manager.ts";

/** Managers `m1` to `mN` in one process on one clock; those in `away` are heard by nobody and hear nobody. */
class Managers {
  readonly clock = new ManualClock();
  readonly all = new Map<string, Manager>();
  readonly away = new Set<string>();
  /** Members whose connections stay open although they are away: they hang. */
  readonly hung = new Set<string>();
  readonly #inboxes = new Map<string, RaftInbox>();

  static async start(count: number): Promise<Managers> {
    const self = new Managers();
    const ids = Array.from({ length: count }, (_, i) => `m${i + 1}`);
    const cluster = new TestCluster();
    for (const id of ids) {
      cluster.addNode(id, {
        Role: "manager",
        Spec: { Labels: {}, Role: "manager", Availability: "active" },
        ManagerAddr: `${id}:2377`,
      });
    }
    for (const [i, id] of ids.entries()) {
      const log = await memoryRaftLog(cluster, { voters: ids, learners: [] });
      self.all.set(id, new Manager(self.#options(id, log, i)));
    }
    for (const manager of self.all.values()) manager.start();
    return self;
  }

  #options(nodeId: string, log: ManagerOptions["log"], seed: number): ManagerOptions {
    return {
      nodeId,
      addr: `${nodeId}:2377`,
      log,
      openTransport: (inbox) => {
        this.#inboxes.set(nodeId, inbox);
        return {
          send: (messages) => queueMicrotask(() => messages.forEach((m) => this.#deliver(m))),
          setPeers: () => {},
          connected: (id) => !this.away.has(id) || this.hung.has(id),
          close: () => {},
        };
      },
      dialer: { connect: (address) => Promise.resolve(this.#caller(nodeId, address)) },
      trust: {} as ManagerOptions["trust"],
      external: {} as ManagerOptions["external"],
      clock: this.clock,
      random: new SeededRandom(seed + 1),
      logger: silentLogger,
      defer: (fn) => queueMicrotask(fn),
      knownManagers: [],
      joinedIndex: 0,
      tickMs: 100,
      createLeaderWork: () => ({ start: () => {} }) as never,
      onBlocked: () => {},
      onFailure: (error) => assert.fail(String(error)),
      onRemoved: () => {},
    };
  }

  #deliver(message: Message): void {
    if (this.away.has(message.from) || this.away.has(message.to)) return;
    this.#inboxes.get(message.to)?.receive(message);
  }

  /** Calls reach whom they are for, and are never answered by one that hangs. */
  #caller(from: string, address: string): RpcCaller {
    const to = address.split(":")[0]!;
    const closed = new AbortController();
    return {
      closed: closed.signal,
      close: () => closed.abort(new Error("closed")),
      call: (
        route: string,
        body: { method: "config.create"; args: never },
        { signal }: { signal?: AbortSignal } = {},
      ) => {
        if (!this.away.has(to) && !this.away.has(from)) {
          if (route === "raft.members") return Promise.resolve(this.all.get(to)!.ownView());
          return this.all.get(to)!.performHere(body.method, body.args);
        }
        return new Promise((_, reject) => {
          for (const ended of [closed.signal, ...(signal ? [signal] : [])]) {
            ended.addEventListener("abort", () => reject(ended.reason));
          }
        });
      },
    } as unknown as RpcCaller;
  }

  leader(): Manager {
    const leaders = [...this.all.values()].filter((manager) =>
      manager.runner.leading && !this.away.has(manager.nodeId)
    );
    assert.equal(leaders.length, 1, "no leader, or two");
    return leaders[0]!;
  }

  others(manager: Manager): Manager[] {
    return [...this.all.values()].filter((other) => other !== manager);
  }

  /** Lets time pass until `promise` is settled. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const watched = promise.finally(() => over = true);
    watched.catch(() => {});
    for (let i = 0; i < 400 && !over; i++) await this.clock.advance(50);
    assert.ok(over, "it never ended");
    return await watched;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const manager of this.all.values()) await manager.stop();
  }
}

const config = (Name: string) => ({ spec: { Name, Data: "eA==", Labels: {} } });

Deno.test("a leader that was replaced without knowing refuses nothing on what it believes", async () => {
  await using managers = await Managers.start(3);
  await managers.clock.advance(4_000);
  const old = managers.leader();
  const { id } = await managers.settled(old.performHere("config.create", config("one")));
  await assert.rejects(managers.settled(old.performHere("config.create", config("one"))), {
    kind: "conflict",
  });
  // It is cut off; before it notices, the others elect another one, where the name becomes free.
  managers.away.add(old.nodeId);
  const [heir] = managers.others(old) as [Manager, Manager];
  for (const other of managers.others(old)) other.runner.peerClosed(old.nodeId);
  for (let i = 0; i < 20 && !managers.others(old).some((m) => m.runner.leading); i++) {
    await managers.clock.advance(50);
  }
  assert.ok(old.runner.leading, "it has noticed already");
  await managers.settled(managers.leader().performHere("config.remove", { id }));
  assert.equal(heir.store.get("config", id), undefined);
  assert.ok(old.runner.leading, "it has noticed already");
  await assert.rejects(managers.settled(old.performHere("config.create", config("one"))), {
    kind: "unavailable",
  });
});

Deno.test("without a majority the managers that are silent are named, and only they", async () => {
  await using managers = await Managers.start(5);
  await managers.clock.advance(4_000);
  const leader = managers.leader();
  const [near, ...gone] = managers.others(leader) as [Manager, ...Manager[]];
  for (const { nodeId } of gone) managers.away.add(nodeId);
  // One of them hangs: its connections stay open.
  managers.hung.add(gone[0]!.nodeId);
  await managers.clock.advance(8_000);
  for (const manager of [leader, near]) {
    const refused = managers.settled(manager.call("config.create", config("x")));
    await assert.rejects(refused, (error: Error) => {
      const named = /; check (.*)$/.exec(error.message)?.[1] ?? error.message;
      for (const { nodeId } of gone) assert.match(named, new RegExp(`\\b${nodeId}:2377`));
      for (const { nodeId } of [leader, near]) {
        assert.doesNotMatch(named, new RegExp(`\\b${nodeId}:2377`));
      }
      return true;
    });
    const seen = manager.members().filter(({ reachable }) => reachable);
    assert.deepEqual(seen.map(({ nodeId }) => nodeId), [leader.nodeId, near.nodeId].sort());
  }
});

Deno.test("who waits for a leader that hangs hears of it as soon as there is another one", async () => {
  await using managers = await Managers.start(3);
  await managers.clock.advance(4_000);
  const old = managers.leader();
  const [asked] = managers.others(old) as [Manager, Manager];
  await managers.settled(asked.call("config.create", config("before")));
  managers.away.add(old.nodeId);
  managers.hung.add(old.nodeId);
  const started = managers.clock.monotonic();
  await assert.rejects(managers.settled(asked.call("config.create", config("x"))), {
    kind: "unavailable",
    message: /leader was replaced or lost .* look before you try again/,
  });
  const waited = managers.clock.monotonic() - started;
  assert.ok(waited < 6_000, `${waited} ms`);
  await managers.settled(asked.call("config.create", config("after")));
});

Deno.test("only a leader runs the leader's work, from the time that it leads until it leads no more", async () => {
  await using managers = await Managers.start(3);
  assert.deepEqual([...managers.all.values()].filter((m) => m.leaderWork), []);
  await managers.clock.advance(4_000);
  const old = managers.leader();
  const working = () => [...managers.all.values()].filter((m) => m.leaderWork);
  assert.deepEqual(working(), [old]);
  managers.away.add(old.nodeId);
  await managers.clock.advance(8_000);
  assert.deepEqual(working(), [managers.leader()]);
  assert.notEqual(managers.leader(), old);
});

Deno.test("who can be reached is the leader's word, also on followers, and soon after one died", async () => {
  for (const hangs of [false, true]) {
    await using managers = await Managers.start(3);
    await managers.clock.advance(4_000);
    const leader = managers.leader();
    const [follower, victim] = managers.others(leader) as [Manager, Manager];
    const reachable = async (manager: Manager) => {
      const { members } = await managers.settled(manager.groupView());
      return members.filter((member) => member.reachable).map(({ nodeId }) => nodeId).sort();
    };
    const all = [...managers.all.keys()].sort();
    for (const manager of managers.all.values()) assert.deepEqual(await reachable(manager), all);
    managers.away.add(victim.nodeId);
    // Its connections stay open: a machine that vanished, or a process that hangs.
    if (hangs) managers.hung.add(victim.nodeId);
    await managers.clock.advance(2_000);
    const left = [leader.nodeId, follower.nodeId].sort();
    for (const manager of [leader, follower]) assert.deepEqual(await reachable(manager), left);

    // The leader dies, too: the one that is left waits for an election at most, and hears nobody.
    managers.away.add(leader.nodeId);
    await managers.clock.advance(6_000);
    const asked = managers.clock.monotonic();
    assert.deepEqual(await reachable(follower), [follower.nodeId]);
    assert.ok(managers.clock.monotonic() - asked < 1_000, "it waited although nobody leads");
  }
});

Deno.test("while the lead changes, who asks after the group gets the next leader's word", async () => {
  await using managers = await Managers.start(3);
  await managers.clock.advance(4_000);
  const old = managers.leader();
  const [asked, other] = managers.others(old) as [Manager, Manager];
  await managers.settled(asked.groupView());
  managers.away.add(old.nodeId);
  managers.hung.add(old.nodeId);
  for (const manager of [asked, other]) manager.runner.peerClosed(old.nodeId);
  const { leading, members } = await managers.settled(asked.groupView());
  assert.ok(leading);
  assert.notEqual(members.find(({ leader }) => leader)?.nodeId, old.nodeId);
  assert.ok(members.find(({ nodeId }) => nodeId === other.nodeId)!.reachable);
});
