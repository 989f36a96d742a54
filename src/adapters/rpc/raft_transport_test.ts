import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { FleetError } from "../../base/errors.ts";
import { SeededRandom } from "../../base/random.ts";
import type { Append, Heartbeat, InstallSnapshot } from "../../core/raft/message.ts";
import type { Message } from "../../core/raft/types.ts";
import { rpcDialer } from "./client.ts";
import { RaftEndpoint, type RaftTransport, type Run } from "./raft_transport.ts";
import { Routes } from "./routes.ts";
import { listenRpc } from "./server.ts";
import {
  CLUSTER,
  eventually,
  FixedCredentials,
  fixtures,
  issue,
  silentLogger,
  systemClock,
} from "./test_support.ts";
import { helloOf } from "./raft_hello.ts";
import type { RpcContext, RpcListener, RpcStream, TlsCredentials } from "./types.ts";

class Member implements AsyncDisposable {
  readonly received: Message[] = [];
  readonly closed: string[] = [];
  readonly unreachable: string[] = [];
  readonly snapshots: [string, boolean][] = [];
  readonly blocked = new Set<string>();
  /** Members that are not let in, and why. */
  readonly outdated = new Map<string, FleetError>();
  readonly refused: string[] = [];
  run: Run = { joinedIndex: 0, starts: 1, name: "first" };
  transport!: RaftTransport;
  listener!: RpcListener;
  readonly endpoint = new RaftEndpoint({
    clock: systemClock,
    random: new SeededRandom(1),
    logger: silentLogger,
  });

  constructor(readonly id: string, readonly credentials: TlsCredentials) {}

  async listen(address = "127.0.0.1:0"): Promise<this> {
    const routes = new Routes();
    this.endpoint.register(routes);
    this.listener = await listenRpc({
      address,
      credentials: new FixedCredentials(this.credentials),
      clusterId: CLUSTER,
      routes,
      refuse: (peer) =>
        peer.role !== "anonymous" && this.blocked.has(peer.nodeId) ? "it was removed" : undefined,
      clock: systemClock,
      logger: silentLogger,
    });
    return this;
  }

  open(): this {
    this.transport = this.endpoint.open({
      nodeId: this.id,
      run: this.run,
      dialer: rpcDialer({
        credentials: new FixedCredentials(this.credentials),
        clusterId: CLUSTER,
        clock: systemClock,
      }),
      inbox: {
        receive: (message) => void this.received.push(message),
        enquire: () => Promise.resolve(),
        peerClosed: (id) => void this.closed.push(id),
        unreachable: (id) => void this.unreachable.push(id),
        snapshotSent: (id, ok) => void this.snapshots.push([id, ok]),
        admit: (id, run) => {
          const refusal = this.outdated.get(`${id}/${run.name}`);
          if (refusal) throw refusal;
        },
        refused: (error) => void this.refused.push(error.message),
      },
    });
    return this;
  }

  knows(...members: Member[]): void {
    this.transport.setPeers(
      members.map((member) => ({ nodeId: member.id, addr: member.listener.address })),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport.close();
    await this.listener.close();
  }
}

async function members(...ids: string[]): Promise<Member[]> {
  const { ca } = await fixtures();
  return await Promise.all(ids.map(async (id) => {
    return (await new Member(id, await issue(ca, { cn: id, ou: "swarm-manager" })).listen()).open();
  }));
}

async function pair(): Promise<[Member, Member]> {
  const [a, b] = await members("mgra", "mgrb") as [Member, Member];
  a.knows(b);
  b.knows(a);
  return [a, b];
}

function heartbeat(from: string, to: string, round: number): Heartbeat {
  return { type: "heartbeat", from, to, term: 1, commit: 0, round, expect: 0, known: [] };
}

function append(from: string, to: string, prevIndex: number, bytes: number): Append {
  const data = new Uint8Array(bytes).fill(prevIndex);
  const entry = { index: prevIndex + 1, term: 1, type: "normal" as const, data };
  return {
    type: "append",
    from,
    to,
    term: 1,
    prevIndex,
    prevTerm: 1,
    entries: [entry],
    commit: 0,
    expect: 0,
  };
}

function snapshot(from: string, to: string, bytes: number): InstallSnapshot {
  const data = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i += 4093) data[i] = i;
  const meta = { index: 10, term: 2, conf: { voters: [from, to], learners: [] } };
  return { type: "snapshot", from, to, term: 3, snapshot: { meta, data } };
}

Deno.test("raft messages arrive in order, also those sent before the connection was there", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  const sent: Message[] = [];
  for (let i = 0; i < 500; i++) {
    sent.push(heartbeat("mgra", "mgrb", i), append("mgra", "mgrb", i, i));
  }
  a.transport.send(sent.slice(0, 10));
  await eventually("first messages", () => b.received.length === 10);
  for (let i = 10; i < sent.length; i += 7) a.transport.send(sent.slice(i, i + 7));
  await eventually("all messages", () => b.received.length === sent.length);
  assert.deepEqual(b.received, sent);
  b.transport.send([heartbeat("mgrb", "mgra", 1)]);
  await eventually("the way back", () => a.received.length === 1);
  assert(a.transport.connected("mgrb"));
});

Deno.test("an unknown sender is answered on its own connection", async () => {
  const [a, b] = await members("mgra", "mgrb") as [Member, Member];
  await using _a = a, _b = b;
  a.knows(b);
  b.transport.send([heartbeat("mgrb", "mgra", 1)]);
  await eventually("nobody to send to", () => b.unreachable.includes("mgra"));
  a.transport.send([heartbeat("mgra", "mgrb", 1)]);
  await eventually("message", () => b.received.length === 1);
  b.transport.send([heartbeat("mgrb", "mgra", 2)]);
  await eventually("answer", () => a.received.length === 1);
});

Deno.test("a manager cannot speak for another one", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  a.transport.send([{ ...heartbeat("mgra", "mgrb", 1) }]);
  await eventually("connected", () => b.received.length === 1);
  const dialer = rpcDialer({
    credentials: new FixedCredentials(a.credentials),
    clusterId: CLUSTER,
    clock: systemClock,
  });
  const { BatchEncoder } = await import("./raft_codec.ts");
  for (
    const [from, to, words] of [["mgrx", "mgrb", "another node"], ["mgra", "mgrx", "for mgrx"]]
  ) {
    const caller = await dialer.connect(b.listener.address);
    // The same process as the one that is connected: it is its messages that are refused.
    const stream = caller.open("raft.messages", { hello: a.run });
    const batch = new BatchEncoder(from!, to!);
    batch.add(heartbeat(from!, to!, 2));
    await stream.send(batch.take());
    await assert.rejects(async () => {
      for await (const _ of stream) { /* nothing */ }
    }, new RegExp(words!));
    caller.close();
  }
  assert.equal(b.received.length, 1);
});

Deno.test("a dead peer is reported at once, then dialled until it is back", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  a.transport.send([heartbeat("mgra", "mgrb", 1)]);
  b.transport.send([heartbeat("mgrb", "mgra", 1)]);
  await eventually("both ways", () => b.received.length === 1 && a.received.length === 1);
  const address = b.listener.address;
  b.transport.close();
  await b.listener.close();
  await eventually("closed", () => a.closed.length > 0, 1000);
  assert.deepEqual(new Set(a.closed), new Set(["mgrb"]));
  a.transport.send([heartbeat("mgra", "mgrb", 2)]);
  await eventually("unreachable", () => a.unreachable.length > 0);
  await b.listen(address);
  b.open();
  b.knows(a);
  await eventually("back", () => a.transport.connected("mgrb"));
  await eventually("heard again", () => {
    a.transport.send([heartbeat("mgra", "mgrb", 3)]);
    return b.received.length > 1;
  });
});

Deno.test("a peer that takes nothing costs a bounded queue, and raft hears of the loss", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  a.transport.send([heartbeat("mgra", "mgrb", 1)]);
  await eventually("connected", () => b.received.length === 1);
  // Nothing leaves within one turn beyond what window and socket take: the rest queues up.
  const big = append("mgra", "mgrb", 1, 1024 * 1024);
  for (let i = 0; i < 40; i++) a.transport.send([big]);
  a.transport.send([heartbeat("mgra", "mgrb", 2)]);
  await eventually("reported", () => a.unreachable.includes("mgrb"));
  await eventually(
    "the small message behind",
    () => b.received.some((m) => m.type === "heartbeat" && m.round === 2),
  );
  const arrived = b.received.filter((m) => m.type === "append").length;
  assert(arrived >= 16 && arrived < 40, `${arrived} of 40 appends arrived`);
});

Deno.test("a snapshot of 50 MB arrives whole while heartbeats pass it", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  const message = snapshot("mgra", "mgrb", 50 * 1024 * 1024);
  a.transport.send([message]);
  let round = 0;
  await eventually("snapshot", () => {
    a.transport.send([heartbeat("mgra", "mgrb", round++)]);
    return a.snapshots.length > 0;
  }, 30_000);
  assert.deepEqual(a.snapshots, [["mgrb", true]]);
  const at = b.received.findIndex((m) => m.type === "snapshot");
  const got = b.received[at] as InstallSnapshot;
  assert(at > 0, "heartbeats were held up behind the snapshot");
  assert.deepEqual({ ...got, snapshot: got.snapshot.meta }, {
    ...message,
    snapshot: message.snapshot.meta,
  });
  assert(Buffer.from(got.snapshot.data).equals(message.snapshot.data));
});

Deno.test("a snapshot to somebody who is not there fails", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  await eventually("connected", () => a.transport.connected("mgrb"));
  b.transport.close();
  await b.listener.close();
  await eventually("gone", () => !a.transport.connected("mgrb"));
  a.transport.send([snapshot("mgra", "mgrb", 1000), snapshot("mgra", "mgrz", 1000)]);
  await eventually("reported", () => a.snapshots.length === 2);
  assert.deepEqual(new Map(a.snapshots), new Map([["mgrb", false], ["mgrz", false]]));
});

Deno.test("a member that is gone before it was greeted does not count as connected", async () => {
  const [a] = await members("mgra") as [Member];
  await using _a = a;
  let serve: ((stream: RpcStream, context: RpcContext) => Promise<void>) | undefined;
  a.endpoint.register({
    route: () => {},
    streamRoute: (name, _options, handler) => {
      if (name === "raft.messages") serve = handler;
    },
  });
  const stream = {
    meta: helloOf(a.run),
    signal: AbortSignal.abort(),
    send: () => Promise.reject(new Error("the stream has ended")),
    cancel: () => {},
  } as unknown as RpcStream;
  const peer = { role: "manager", nodeId: "mgrb", clusterId: CLUSTER } as const;
  const context = {
    route: "raft.messages",
    peer,
    remoteAddress: "127.0.0.1:1",
    signal: stream.signal,
  };
  await assert.rejects(serve!(stream, context), /has ended/);
  assert.equal(a.transport.connected("mgrb"), false);
});

Deno.test("a snapshot under way fails with its connection", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  await eventually("connected", () => a.transport.connected("mgrb"));
  a.transport.send([snapshot("mgra", "mgrb", 50 * 1024 * 1024)]);
  b.listener.closeConnectionsOf("mgra");
  await eventually("reported", () => a.snapshots.length > 0);
  assert.deepEqual(a.snapshots, [["mgrb", false]]);
});

Deno.test("a removed member is cut off within a second and stays out", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  a.transport.send([heartbeat("mgra", "mgrb", 1)]);
  await eventually("connected", () => b.received.length === 1);
  b.blocked.add("mgra");
  b.listener.closeConnectionsOf("mgra");
  b.transport.setPeers([]);
  await eventually("cut off", () => !b.transport.connected("mgra"), 1000);
  await eventually("a notices", () => a.unreachable.length > 2);
  a.transport.send([heartbeat("mgra", "mgrb", 2)]);
  await eventually("still refused", () => a.unreachable.length > 5);
  assert.equal(b.received.length, 1);
  assert.deepEqual(b.closed, [], "a removal is no hint that a leader died");
});

Deno.test("an old copy of a member is told so, whoever dials, and nothing it says is heard", async () => {
  for (const copyDials of [true, false]) {
    const [a, b] = await members("mgra", "mgrb") as [Member, Member];
    await using _a = a, _b = b;
    b.outdated.set("mgra/first", new FleetError("corrupt", "a newer start was seen"));
    if (copyDials) a.knows(b);
    else b.knows(a);
    a.transport.send([heartbeat("mgra", "mgrb", 1)]);
    await eventually("told", () => a.refused.includes("a newer start was seen"));
    assert.deepEqual([b.received, b.refused], [[], []]);
  }
});

Deno.test("while a member lives, another process with its id does not get in", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  a.transport.send([heartbeat("mgra", "mgrb", 1)]);
  await eventually("connected", () => b.received.length === 1);
  const clone = await new Member("mgra", a.credentials).listen();
  await using _c = clone;
  clone.run = { joinedIndex: 0, starts: 2, name: "clone" };
  clone.open().knows(b);
  clone.transport.send([heartbeat("mgra", "mgrb", 66)]);
  await eventually("refused", () => clone.refused.some((m) => /another one is running/.test(m)));
  a.transport.send([heartbeat("mgra", "mgrb", 2)]);
  await eventually("the first one is heard", () => b.received.length === 2);
  assert(!b.received.some((m) => m.type === "heartbeat" && m.round === 66));
  assert.deepEqual(a.refused, []);
  // Once the first has ended the other one is for the role to judge.
  a.transport.close();
  await eventually("let in", () => {
    clone.transport.send([heartbeat("mgra", "mgrb", 67)]);
    return b.received.some((m) => m.type === "heartbeat" && m.round === 67);
  });
});

Deno.test("a caller that does not say which start it is is not heard", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  const dialer = rpcDialer({
    credentials: new FixedCredentials(a.credentials),
    clusterId: CLUSTER,
    clock: systemClock,
  });
  const caller = await dialer.connect(b.listener.address);
  for (const meta of [undefined, {}, { hello: { joinedIndex: -1, starts: 1, name: "x" } }]) {
    const stream = caller.open("raft.messages", meta);
    await assert.rejects(async () => {
      for await (const _ of stream) { /* nothing */ }
    }, /has to say first/);
  }
  caller.close();
});

Deno.test("a member that was removed still gets what was sent with its removal", async () => {
  const [a, b] = await pair();
  await using _a = a, _b = b;
  a.transport.send([heartbeat("mgra", "mgrb", 1)]);
  await eventually("connected", () => b.received.length === 1);
  a.transport.setPeers([]);
  a.transport.send([append("mgra", "mgrb", 1, 10)]);
  await eventually("the farewell", () => b.received.length === 2);
  b.transport.send([heartbeat("mgrb", "mgra", 1)]);
  await eventually("cut off", () => !a.transport.connected("mgrb"), 3_000);
  assert.deepEqual(a.received, []);
});
