/** What an uninvited, removed or hostile peer tries, over real sockets. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as net from "node:net";
import * as tls from "node:tls";
import fc from "fast-check";
import { FleetError } from "../../base/errors.ts";
import { appendFrame, FrameKind, putU32 } from "./frame.ts";
import { GrowBuffer } from "./grow_buffer.ts";
import * as bound from "./limits.ts";
import { parseAddress } from "./address.ts";
import { Routes } from "./routes.ts";
import { eventually, fixtures, issue, makeCa, ManualClock, startLab } from "./test_support.ts";
import type { TlsCredentials } from "./types.ts";

function failure(kind: string, sentence: RegExp) {
  return (error: unknown) => {
    assert(error instanceof FleetError, String(error));
    assert.match(error.message, sentence);
    assert.equal(error.kind, kind);
    return true;
  };
}

function table(): Routes {
  const routes = new Routes();
  routes.route("open", { roles: ["anonymous", "worker", "manager"] }, () => Promise.resolve("ok"));
  routes.route("worker", { roles: ["worker"] }, () => Promise.resolve("ok"));
  routes.route("manager", { roles: ["manager"] }, () => Promise.resolve("ok"));
  routes.streamRoute("wait", { roles: ["worker"] }, async (stream) => {
    await stream.send("ready");
    for await (const _ of stream) { /* until it ends */ }
  });
  return routes;
}

/** A TLS client that says what it wants instead of what the protocol allows. */
async function rawTls(address: string, own?: Partial<TlsCredentials>): Promise<tls.TLSSocket> {
  const { host, port } = parseAddress(address);
  const socket = tls.connect({
    host,
    port,
    servername: bound.MANAGER_SERVER_NAME,
    ALPNProtocols: [bound.PROTOCOL],
    rejectUnauthorized: false,
    ...(own?.certPem && own.keyPem ? { cert: own.certPem, key: own.keyPem } : {}),
  });
  socket.on("error", () => {});
  socket.resume();
  await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
  return socket;
}

Deno.test("roles: everybody gets what is listed for them and nothing else", async () => {
  const { manager, worker } = await fixtures();
  await using lab = await startLab(table());
  const asWorker = await lab.dialer(worker).connect(lab.address);
  assert.equal(await asWorker.call("worker", {}), "ok");
  await assert.rejects(
    asWorker.call("manager", {}),
    failure("forbidden", /^worker wrk1 may not call manager$/),
  );
  const asManager = await lab.dialer(manager).connect(lab.address);
  await assert.rejects(asManager.call("worker", {}), failure("forbidden", /manager mgr1/));
  const anonymous = await lab.anonymous();
  assert.equal(await anonymous.call("open", {}), "ok");
  for (const route of ["worker", "manager", "wait", "nowhere", "__proto__", "../open"]) {
    await assert.rejects(anonymous.call(route, {}), failure("unauthorized", /needs a node cert/));
  }
  for (const client of [asWorker, asManager, anonymous]) client.close();
});

Deno.test("certificates: foreign, self-signed, expired and odd ones are refused", async () => {
  const { ca, worker } = await fixtures();
  const foreign = await makeCa();
  const odd = async (o: string, ou: string, cn: string) => await issue(ca, { cn, ou, o });
  const cases: [string, TlsCredentials, RegExp][] = [
    ["foreign CA", await issue(foreign, { cn: "wrk1", ou: "swarm-worker" }), /not valid in this/],
    ["self-signed", { caPem: foreign.pem, certPem: foreign.pem, keyPem: foreign.keyPem }, /./],
    ["expired", await issue(ca, { cn: "wrk1", ou: "swarm-worker", expired: true }), /EXPIRED/],
    ["other cluster", await odd("cluster2", "swarm-worker", "wrk1"), /another cluster/],
    ["no role", await odd("cluster1", "swarm-king", "wrk1"), /names no role/],
    ["prototype role", await odd("cluster1", "constructor", "wrk1"), /names no role/],
    ["odd node id", await odd("cluster1", "swarm-worker", "a..b"), /names no node/],
  ];
  await using lab = await startLab(table());
  for (const [name, { certPem, keyPem }, sentence] of cases) {
    const attempt = lab.dialer({ caPem: ca.pem, certPem, keyPem }).connect(lab.address);
    await assert.rejects(attempt, failure("forbidden", sentence), name);
  }
  const client = await lab.dialer(worker).connect(lab.address);
  assert.equal(await client.call("worker", {}), "ok");
  client.close();
});

Deno.test("callers trust only a manager of their own cluster", async () => {
  const { ca, worker } = await fixtures();
  const foreign = await makeCa();
  await using lab = await startLab(table());
  await assert.rejects(
    lab.dialer({ ...worker, caPem: foreign.pem }).connect(lab.address),
    failure("unauthorized", /cannot be trusted/),
  );
  await assert.rejects(lab.anonymous(foreign.pem), failure("unauthorized", /cannot be trusted/));
  await assert.rejects(
    lab.dialer(worker).connect(lab.address, { expectNodeId: "mgr2" }),
    failure("unauthorized", /is node mgr1, not mgr2/),
  );
  for (
    const [wish, sentence] of [
      [{ cn: "wrk9", ou: "swarm-worker" }, /cannot be trusted/],
      [{ cn: "mgr9", ou: "swarm-manager", o: "cluster2" }, /another cluster/],
      [{ cn: "mgr9", ou: "swarm-manager", expired: true }, /expired/i],
    ] as const
  ) {
    lab.credentials.swap(await issue(ca, wish));
    await assert.rejects(
      lab.dialer(worker).connect(lab.address),
      failure("unauthorized", sentence),
    );
  }
  const unverified = await lab.anonymous("unverified");
  assert.equal(await unverified.call("open", {}), "ok");
  unverified.close();
});

Deno.test("a removed node loses its streams within a second and cannot come back", async () => {
  const { worker } = await fixtures();
  const removed = new Set<string>();
  await using lab = await startLab(table(), {
    refuse: (peer) =>
      peer.role !== "anonymous" && removed.has(peer.nodeId) ? "it was removed" : undefined,
  });
  const client = await lab.dialer(worker).connect(lab.address);
  const reader = client.open("wait")[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value, "ready");
  removed.add("wrk1");
  await assert.rejects(client.call("worker", {}), failure("forbidden", /removed/));
  const startedAt = performance.now();
  lab.listener.closeConnectionsOf("wrk1");
  await assert.rejects(reader.next(), failure("forbidden", /no longer part/));
  assert(performance.now() - startedAt < 1000);
  await assert.rejects(lab.dialer(worker).connect(lab.address), failure("forbidden", /removed/));
});

Deno.test("new credentials serve new handshakes and leave live connections alone", async () => {
  const { ca, worker } = await fixtures();
  await using lab = await startLab(table());
  const old = await lab.dialer(worker).connect(lab.address);
  const reader = old.open("wait")[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value, "ready");
  // A rotation of the root: both roots are trusted, the server shows the new one's certificate.
  const next = await makeCa();
  const both = ca.pem + next.pem;
  const renewed = await issue(next, { cn: "mgr1b", ou: "swarm-manager" });
  lab.credentials.swap({ ...renewed, caPem: both });
  const fresh = await lab.dialer({ ...worker, caPem: both }).connect(lab.address);
  assert.equal(fresh.peer.role === "manager" && fresh.peer.nodeId, "mgr1b");
  const rotated = await issue(next, { cn: "wrk2", ou: "swarm-worker" });
  const third = await lab.dialer({ ...rotated, caPem: both }).connect(lab.address);
  for (const client of [old, fresh, third]) assert.equal(await client.call("worker", {}), "ok");
  assert.equal(old.closed.aborted, false);
  lab.credentials.swap({ ...renewed, caPem: both, certPem: "not a certificate" });
  lab.credentials.swap({ ...renewed, caPem: both, keyPem: worker.keyPem });
  assert.equal(lab.log.filter((line) => line.includes("the old one stays")).length, 2);
  const fourth = await lab.dialer({ ...worker, caPem: both }).connect(lab.address);
  assert.equal(await fourth.call("worker", {}), "ok");
  for (const client of [old, fresh, third, fourth]) client.close();
});

function frameBytes(kind: FrameKind, id: number, payload: Uint8Array): Uint8Array {
  const out = new GrowBuffer(64);
  appendFrame(out, kind, id, payload);
  return out.take();
}

Deno.test("oversized, unknown and misplaced frames end the connection with a logged reason", async () => {
  const { worker } = await fixtures();
  await using lab = await startLab(table());
  const oversized = new Uint8Array(9);
  putU32(oversized, 0, bound.LIMITS.worker.maxFrameBytes + 1);
  oversized[4] = FrameKind.Bytes;
  putU32(oversized, 5, 1);
  const open = new TextEncoder().encode('{"r":"wait"}');
  const tooMuch = new GrowBuffer(64);
  appendFrame(tooMuch, FrameKind.Open, 1, new TextEncoder().encode('{"r":"open"}'));
  for (let i = 0; i < 3; i++) {
    appendFrame(tooMuch, FrameKind.BytesMore, 1, new Uint8Array(bound.LIMITS.worker.windowBytes));
  }
  const cases: [Uint8Array, RegExp][] = [
    [oversized, /4194305 bytes/],
    [frameBytes(99 as FrameKind, 1, new Uint8Array(0)), /unknown frame kind 99/],
    [frameBytes(FrameKind.End, 7, new Uint8Array(0)), /idle stream 7/],
    [frameBytes(FrameKind.Open, 2, open), /our own number/],
    [frameBytes(FrameKind.Open, 1, Uint8Array.of(1, 2)), /cannot be read/],
    [tooMuch.take(), /were granted/],
  ];
  for (const [bytes, reason] of cases) {
    const socket = await rawTls(lab.address, worker);
    socket.write(bytes);
    await eventually("closed", () => socket.destroyed);
    await eventually(String(reason), () => lab.log.some((line) => reason.test(line)));
  }
});

Deno.test("random bytes inside and outside TLS harm nobody", async () => {
  const { worker } = await fixtures();
  await using lab = await startLab(table());
  const good = await lab.dialer(worker).connect(lab.address);
  const { host, port } = parseAddress(lab.address);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (bytes) => {
      const inside = await rawTls(lab.address, worker);
      inside.write(bytes);
      const outside = net.connect(port, host);
      outside.on("error", () => {});
      await new Promise<void>((resolve) => outside.once("connect", () => resolve()));
      outside.end(bytes);
      inside.destroy();
      assert.equal(await good.call("worker", {}), "ok");
      outside.destroy();
    }),
    { numRuns: 60 },
  );
  good.close();
});

Deno.test("a silent, a dripping and an overstaying caller are put out in time", async () => {
  const clock = new ManualClock();
  await using lab = await startLab(table(), { clock });
  const { worker } = await fixtures();
  const pass = (ms: number) => {
    for (let t = 0; t < ms; t += 500) clock.advance(500);
  };
  const { host, port } = parseAddress(lab.address);

  const handshake = net.connect(port, host);
  handshake.on("error", () => {});
  handshake.resume();
  await eventually("accepted", () => clock.pending === 1);
  pass(bound.HANDSHAKE_TIMEOUT_MS);
  await eventually("no handshake", () => handshake.destroyed);

  const silent = await rawTls(lab.address, worker);
  await eventually("served", () => clock.pending === 1);
  pass(bound.FIRST_FRAME_TIMEOUT_MS + bound.CONNECTION_TICK_MS);
  await eventually("silence", () => silent.destroyed);

  const dripping = await rawTls(lab.address, worker);
  await eventually("served", () => clock.pending > 0);
  dripping.write(new Uint8Array(4));
  for (let t = 0; t <= bound.FRAME_TIMEOUT_MS + 2 * bound.CONNECTION_TICK_MS; t += 2_500) {
    pass(2_500);
    if (dripping.destroyed) break;
    if (t < 10_000) dripping.write(new Uint8Array(1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually("half a frame", () => dripping.destroyed);

  // Pings keep a connection alive, but not for ever that of a caller who has proven nothing.
  const overstaying = await rawTls(lab.address);
  await eventually("served", () => clock.pending > 0);
  const ping = frameBytes(FrameKind.Ping, 0, new Uint8Array(8));
  let answers = 0;
  overstaying.on("data", () => answers++);
  const deadline = clock.monotonic() + bound.ANONYMOUS_LIFETIME_MS + bound.CONNECTION_TICK_MS;
  while (!overstaying.destroyed && clock.monotonic() < deadline) {
    const before = answers;
    overstaying.write(ping);
    await eventually("pong", () => answers > before || overstaying.destroyed);
    pass(2_500);
  }
  await eventually("overstayed", () => overstaying.destroyed);
  assert(lab.log.some((line) => line.includes("the time for a caller without certificate")));
});

Deno.test("a certificate without its key proves nothing", async () => {
  const { manager, worker } = await fixtures();
  await using lab = await startLab(table());
  // The victim's certificate and public key with another private number: openssl does not notice.
  const forged = der(manager.keyPem);
  const scalarAt = 7; // SEC1: sequence, version, octet string of 32 bytes
  forged.set(der(worker.keyPem).subarray(scalarAt, scalarAt + 32), scalarAt);
  const dir = await Deno.makeTempDir({ prefix: "rpc_test_" });
  try {
    const pem = `-----BEGIN EC PRIVATE KEY-----\n${
      forged.toString("base64").replace(/.{64}/g, "$&\n")
    }\n-----END EC PRIVATE KEY-----\n`;
    await Deno.writeTextFile(`${dir}/key`, pem, { mode: 0o600 });
    await Deno.writeTextFile(`${dir}/cert`, manager.certPem);
    const attempt = await new Deno.Command("openssl", {
      args: [
        ...["s_client", "-connect", lab.address, "-servername", bound.MANAGER_SERVER_NAME],
        ...["-alpn", bound.PROTOCOL, "-cert", `${dir}/cert`, "-key", `${dir}/key`, "-ign_eof"],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    // The server closes right after the alert; openssl sometimes sees only the end.
    assert.match(
      new TextDecoder().decode(attempt.stderr),
      /alert decrypt error|unexpected eof while reading/,
    );
    assert(lab.log.some((line) => line.includes("TLS handshake failed")));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

function der(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
}

Deno.test("4,000 half-open connections: bounded, and a node still gets in", async () => {
  const { worker } = await fixtures();
  await using lab = await startLab(table());
  const { host, port } = parseAddress(lab.address);
  const sockets = new Set<net.Socket>();
  let peak = 0;
  const before = Deno.memoryUsage().rss;
  for (let i = 0; i < 4_000; i++) {
    const socket = net.connect(port, host);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.resume();
    await new Promise<void>((resolve) => {
      socket.once("connect", () => {
        sockets.add(socket);
        resolve();
      });
      socket.once("close", () => resolve());
    });
    peak = Math.max(peak, sockets.size);
    if (i % 1_000 === 500) {
      const client = await lab.dialer(worker).connect(lab.address);
      assert.equal(await client.call("worker", {}), "ok");
      client.close();
    }
  }
  await eventually("evicted", () => sockets.size <= bound.MAX_HALF_OPEN_PER_SOURCE);
  const grown = (Deno.memoryUsage().rss - before) / 1024 / 1024;
  assert(peak < 2_000, `${peak} were open at a time`);
  assert(grown < 200, `memory grew by ${grown} MiB`);
  const client = await lab.dialer(worker).connect(lab.address);
  assert.equal(await client.call("worker", {}), "ok");
  client.close();
  for (const socket of sockets) socket.destroy();
});

Deno.test("failed connections name the address", async () => {
  const { worker } = await fixtures();
  const accepted: net.Socket[] = [];
  const silent = net.createServer((socket) => {
    socket.on("error", () => {});
    accepted.push(socket);
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", () => resolve()));
  const { port } = silent.address() as net.AddressInfo;
  await using lab = await startLab(table());
  const dialer = lab.dialer(worker);
  await assert.rejects(
    dialer.connect(`127.0.0.1:${port}`, { timeoutMs: 2_000 }),
    failure(
      "timeout",
      new RegExp(`cannot reach manager 127.0.0.1:${port} within 2 s: TCP conn`),
    ),
  );
  const controller = new AbortController();
  const attempt = dialer.connect(`127.0.0.1:${port}`, { signal: controller.signal });
  controller.abort(new FleetError("canceled", "enough"));
  await assert.rejects(attempt, failure("canceled", /enough/));
  for (const socket of accepted) socket.destroy();
  await new Promise<void>((resolve) => silent.close(() => resolve()));
  await assert.rejects(
    dialer.connect(`127.0.0.1:${port}`),
    failure(
      "unavailable",
      new RegExp(`cannot reach manager 127.0.0.1:${port}: connection refused`),
    ),
  );
  await assert.rejects(
    startLab(table(), { address: lab.address }),
    failure("conflict", new RegExp(`cannot listen on ${lab.address}`)),
  );
  await assert.rejects(dialer.connect("nonsense"), failure("invalid", /invalid address/));
});
