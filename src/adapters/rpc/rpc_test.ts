import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { Routes } from "./routes.ts";
import { eventually, fixtures, startLab } from "./test_support.ts";

function failure(kind: string, sentence: RegExp) {
  return (error: unknown) => {
    assert(error instanceof FleetError, String(error));
    assert.match(error.message, sentence);
    assert.equal(error.kind, kind);
    return true;
  };
}

Deno.test("a call carries JSON both ways and knows its caller", async () => {
  const { worker } = await fixtures();
  const routes = new Routes();
  routes.route("echo", { roles: ["worker"] }, (body, context) => {
    return Promise.resolve({ body, peer: context.peer, route: context.route });
  });
  routes.route("nothing", { roles: ["worker"] }, (body) => Promise.resolve(body));
  await using lab = await startLab(routes);
  const client = await lab.dialer(worker).connect(lab.address);
  assert.deepEqual(client.peer, { role: "manager", nodeId: "mgr1", clusterId: "cluster1" });
  assert.deepEqual(await client.call("echo", { a: [1, "ü"] }), {
    body: { a: [1, "ü"] },
    peer: { role: "worker", nodeId: "wrk1", clusterId: "cluster1" },
    route: "echo",
  });
  assert.equal(await client.call("nothing", undefined), undefined);
  assert.equal(await client.call("nothing", null), null);
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, i) => client.call("nothing", i)),
  );
  assert.deepEqual(answers, Array.from({ length: 100 }, (_, i) => i));
  client.close();
});

Deno.test("errors travel as kind and sentence, bugs without details", async () => {
  const { worker } = await fixtures();
  const routes = new Routes();
  routes.route("missing", { roles: ["worker"] }, () => {
    return Promise.reject(new FleetError("not-found", "no such service: web"));
  });
  routes.route("bug", { roles: ["worker"] }, () => Promise.reject(new TypeError("secret detail")));
  await using lab = await startLab(routes);
  const client = await lab.dialer(worker).connect(lab.address);
  await assert.rejects(client.call("missing", {}), failure("not-found", /^no such service: web$/));
  await assert.rejects(client.call("bug", {}), failure("internal", /^internal error in bug/));
  assert(lab.log.some((line) => line.includes("secret detail")));
  await assert.rejects(client.call("nowhere", {}), failure("unimplemented", /no route "nowhere"/));
  client.close();
});

Deno.test("a message larger than the window arrives whole", async () => {
  const { manager } = await fixtures();
  const routes = new Routes();
  routes.route("size", { roles: ["manager"] }, (body) => Promise.resolve(body));
  await using lab = await startLab(routes);
  const client = await lab.dialer(manager).connect(lab.address);
  const text = "x".repeat(9 * 1024 * 1024);
  assert.equal(await client.call("size", text), text);
  const tooLong = "x".repeat(33 * 1024 * 1024);
  await assert.rejects(client.call("size", tooLong), failure("invalid", /at most 33554432/));
  assert.equal(await client.call("size", "still works"), "still works");
  client.close();
});

Deno.test("streams: binary and JSON in order, half close, end", async () => {
  const { worker } = await fixtures();
  const routes = new Routes();
  routes.streamRoute("echo", { roles: ["worker"] }, async (stream) => {
    await stream.send({ meta: stream.meta });
    for await (const message of stream) await stream.send(message);
    await stream.send("bye");
  });
  await using lab = await startLab(routes);
  const client = await lab.dialer(worker).connect(lab.address);
  const stream = client.open("echo", { name: "x" });
  await stream.send(Uint8Array.of(1, 2, 3));
  await stream.send(new Uint8Array(0));
  await stream.send({ n: 1 });
  await stream.end();
  const seen: unknown[] = [];
  for await (const message of stream) seen.push(message);
  assert.deepEqual(seen, [
    { meta: { name: "x" } },
    Uint8Array.of(1, 2, 3),
    new Uint8Array(0),
    { n: 1 },
    "bye",
  ]);
  assert.equal(stream.signal.aborted, false);
  client.close();
});

Deno.test("a handler that returns ends the stream for a caller that still sends", async () => {
  const { worker } = await fixtures();
  const routes = new Routes();
  routes.streamRoute("one", { roles: ["worker"] }, async (stream) => {
    for await (const message of stream) {
      await stream.send(message);
      return;
    }
  });
  await using lab = await startLab(routes);
  const client = await lab.dialer(worker).connect(lab.address);
  const stream = client.open("one");
  const sent = (async () => {
    for (;;) await stream.send(new Uint8Array(10_000));
  })();
  await assert.rejects(sent, failure("canceled", /reader left|finished the stream/));
  client.close();
});

Deno.test("cancelling aborts the handler, and the other way round", async () => {
  const { worker } = await fixtures();
  const routes = new Routes();
  let cancelled: unknown;
  routes.streamRoute("wait", { roles: ["worker"] }, async (stream, context) => {
    await stream.send("ready");
    await new Promise<void>((resolve) =>
      context.signal.addEventListener("abort", () => {
        cancelled = context.signal.reason;
        resolve();
      })
    );
  });
  routes.streamRoute("fail", { roles: ["worker"] }, async (stream) => {
    await stream.send("first");
    throw new FleetError("conflict", "no more of this");
  });
  let unaryStarted = false;
  let unaryCancelled = false;
  routes.route(
    "slow",
    { roles: ["worker"] },
    (_body, context) =>
      new Promise((_resolve, reject) => {
        unaryStarted = true;
        context.signal.addEventListener("abort", () => {
          unaryCancelled = true;
          reject(context.signal.reason);
        });
      }),
  );
  await using lab = await startLab(routes);
  const client = await lab.dialer(worker).connect(lab.address);

  const waiting = client.open("wait");
  for await (const message of waiting) {
    assert.equal(message, "ready");
    break;
  }
  await eventually("handler cancelled", () => cancelled instanceof FleetError);

  const failing = client.open("fail");
  const seen: unknown[] = [];
  await assert.rejects(async () => {
    for await (const message of failing) seen.push(message);
  }, failure("conflict", /no more of this/));
  assert.deepEqual(seen, ["first"]);
  assert(failing.signal.aborted);

  const controller = new AbortController();
  const call = client.call("slow", {}, { signal: controller.signal });
  await eventually("call started", () => unaryStarted);
  controller.abort(new FleetError("canceled", "not needed any more"));
  await assert.rejects(call, failure("canceled", /not needed/));
  await eventually("call cancelled", () => unaryCancelled);
  await assert.rejects(
    client.call("slow", {}, { timeoutMs: 20 }),
    failure("timeout", /did not answer slow within 20 ms/),
  );
  client.close();
});

Deno.test("a slow reader holds the writer back: bounded memory", async () => {
  const { worker } = await fixtures();
  const routes = new Routes();
  const go = Promise.withResolvers<void>();
  let received = 0;
  routes.streamRoute("slow", { roles: ["worker"] }, async (stream) => {
    await go.promise;
    for await (const message of stream) received += (message as Uint8Array).length;
    await stream.send(received);
  });
  routes.route("ping", { roles: ["worker"] }, () => Promise.resolve("pong"));
  await using lab = await startLab(routes);
  const client = await lab.dialer(worker).connect(lab.address);
  const stream = client.open("slow");
  const piece = new Uint8Array(16 * 1024);
  const total = 640;
  let sent = 0;
  const writer = (async () => {
    for (; sent < total; sent++) await stream.send(piece);
    await stream.end();
  })();
  // The window is 256 KiB; another stream of the same connection is not held up by it.
  await eventually("window used", () => sent >= 15);
  for (let i = 0; i < 20; i++) assert.equal(await client.call("ping", i), "pong");
  assert(sent <= 16, `${sent} pieces were sent into a window of 16`);
  go.resolve();
  await writer;
  for await (const message of stream) assert.equal(message, total * piece.length);
  client.close();
});

Deno.test("an ended connection fails what is open, with the reason", async () => {
  const { worker } = await fixtures();
  const routes = new Routes();
  let handlerEnded = false;
  routes.streamRoute("wait", { roles: ["worker"] }, async (stream) => {
    await stream.send("ready");
    try {
      for await (const _ of stream) { /* nothing comes */ }
    } finally {
      handlerEnded = true;
    }
  });
  await using lab = await startLab(routes);
  const client = await lab.dialer(worker).connect(lab.address);
  const stream = client.open("wait");
  const reader = stream[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value, "ready");
  await lab.listener.close();
  await assert.rejects(reader.next(), failure("unavailable", /is stopping/));
  await eventually("handler ended", () => handlerEnded);
  assert(client.closed.aborted);
  assert.throws(() => client.open("wait"), failure("unavailable", /is stopping/));
  await assert.rejects(client.call("wait", 1), failure("unavailable", /is stopping/));
});
