/** Logs of a service's tasks through the real routes: terminals, following, ends, failures, slow readers. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Transaction } from "../../src/core/store/transaction.ts";
import type { Backend, NodeAnswer } from "../../src/api/backend.ts";
import { FleetError } from "../../src/base/errors.ts";
import type { Applied, View } from "../../src/model/view.ts";
import { readLogLines } from "../../ui/log_frames.ts";
import { api } from "./cluster_api.ts";

const NOW = Date.UTC(2026, 0, 1);
const encoder = new TextEncoder();
const stamp = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000000Z`;

/** A log that its engine answers with: lines with their seconds, more of them later, an end or none. */
class Log {
  readonly #lines: { second: number; text: string }[] = [];
  readonly #changed = new Set<() => void>();
  #over = false;
  #failure: Error | undefined;
  /** Queries that were asked. */
  readonly asked: URLSearchParams[] = [];

  constructor(readonly tty: boolean) {}

  say(second: number, text: string): void {
    this.#lines.push({ second, text });
    this.#tell();
  }
  end(failure?: Error): void {
    this.#over = true;
    this.#failure = failure;
    this.#tell();
  }
  #tell(): void {
    for (const changed of this.#changed) changed();
  }

  async *read(query: URLSearchParams, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    this.asked.push(query);
    const [, seconds = "0", nanos = "0"] = /^(\d+)\.(\d+)$/.exec(query.get("since") ?? "") ?? [];
    // Lines are on whole seconds.
    const since = Number(seconds) * 1000 + (Number(nanos) > 0 ? 1000 : 0);
    const tail = query.get("tail") === "all" ? Infinity : Number(query.get("tail"));
    const follow = query.get("follow") === "1";
    const old = this.#lines.length;
    const there = this.#lines.filter(({ second }) => NOW + second * 1000 >= since);
    for (const line of tail === 0 ? [] : there.slice(-tail)) yield this.#bytes(line);
    if (!follow) return;
    for (let at = old; !signal.aborted;) {
      const line = this.#lines[at];
      if (line) {
        at++;
        yield this.#bytes(line);
      } else if (this.#over) {
        if (this.#failure) throw this.#failure;
        return;
      } else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#changed.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
        await promise;
        this.#changed.delete(resolve);
      }
    }
  }
  #bytes({ second, text }: { second: number; text: string }): Uint8Array {
    const message = encoder.encode(`${stamp(second)} ${text}${this.tty ? "\r\n" : "\n"}`);
    if (this.tty) return message;
    const bytes = new Uint8Array(8 + message.length);
    bytes[0] = 1;
    new DataView(bytes.buffer).setUint32(4, message.length);
    bytes.set(message, 8);
    return bytes;
  }
}

/** A cluster with a service `s`; its tasks have the logs that they are given. */
async function cluster(options: { tty: boolean }) {
  const logs = new Map<string, Log>();
  const listeners = new Set<(changes: readonly Applied[]) => void>();
  const backend: Partial<Backend> = {
    // deno-lint-ignore require-await
    askTask: async (taskId, path, signal): Promise<NodeAnswer> => {
      const query = new URLSearchParams(path.split("?")[1]);
      return {
        status: 200,
        contentType: "application/octet-stream",
        body: logs.get(taskId)!.read(query, signal),
      };
    },
    watch: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const { app, store } = api({ backend });
  const send = (target: string, init?: RequestInit) =>
    app(new Request(`http://fleet/v1.41${target}`, init));
  const created = await send("/services/create", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      Name: "s",
      TaskTemplate: { ContainerSpec: { Image: "busybox", TTY: options.tty } },
      Mode: { Replicated: { Replicas: 2 } },
    }),
  });
  const { ID: service } = await created.json() as { ID: string };
  const write = (change: (tx: Transaction) => void) => {
    const tx = new Transaction(store, NOW);
    change(tx);
    const changes = tx.changes();
    const applied = changes.map((each) => ({
      op: each.op,
      table: each.table,
      object: "object" in each ? each.object : store.get(each.table, each.id),
    })) as unknown as Applied[];
    store.apply(store.index + 1, changes);
    for (const listener of [...listeners]) listener(applied);
  };
  const task = (ID: string, state: "running" | "failed", tty = options.tty): Log => {
    const log = new Log(tty);
    logs.set(ID, log);
    write((tx) =>
      tx.create(
        "task",
        {
          ID,
          Spec: { ContainerSpec: { Image: "busybox", TTY: tty } },
          ServiceID: service,
          ServiceAnnotations: { Name: "s" },
          Slot: 1,
          NodeID: "node1",
          Status: {
            Timestamp: stamp(0),
            State: state,
            ContainerStatus: { ContainerID: `c${ID}`, PID: 7, ExitCode: 0 },
          },
          DesiredState: state === "running" ? "running" : "shutdown",
        } as unknown as Parameters<Transaction["create"]>[1] & never,
      )
    );
    return log;
  };
  const remove = (table: "task" | "service", id: string) => write((tx) => tx.remove(table, id));
  return { app, send, task, remove, service, logs, listeners, view: store as View };
}

/** What a stream gives, read on demand. */
function readerOf(response: Response) {
  assert.equal(response.status, 200);
  const reader = response.body!.getReader();
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
  let seen = "";
  return {
    async upTo(what: string): Promise<string> {
      while (!seen.includes(what)) {
        const { value, done } = await reader.read();
        assert(!done, `the stream ended before ${what}: ${JSON.stringify(seen)}`);
        seen += text(value);
      }
      return seen;
    },
    async rest(): Promise<string> {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return seen;
        seen += text(value);
      }
    },
    reader,
  };
}

/** Frames as `stream:text`. */
function framesOf(bytes: Uint8Array): string[] {
  const frames: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(4);
    const text = new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length));
    frames.push(`${bytes[at]}:${text}`);
    at += 8 + length;
  }
  return frames;
}

const turns = async () => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
};

Deno.test("a terminal service's log has the lines of all tasks, by time and without frames", async () => {
  const { send, task } = await cluster({ tty: true });
  const dead = task("t1", "failed");
  dead.say(1, "dead one");
  const a = task("t2", "running");
  const b = task("t3", "running");
  a.say(2, "a one");
  b.say(3, "b one");
  a.say(4, "a two");
  // From before the service was given a terminal.
  task("t4", "failed", false).say(5, "framed one");

  const plain = await send("/services/s/logs?stdout=1&stderr=1");
  assert.equal(plain.headers.get("content-type"), "application/vnd.docker.raw-stream");
  assert.equal(
    await plain.text(),
    "dead one\r\na one\r\nb one\r\na two\r\nframed one\n",
  );
  const full = await send("/services/s/logs?stdout=1&tail=2&timestamps=1&details=1");
  const details = (id: string) =>
    `com.docker.swarm.node.id=node1,com.docker.swarm.service.id=\\w+,com.docker.swarm.task.id=${id}`;
  assert.match(
    await full.text(),
    new RegExp(`^${stamp(4)} ${details("t2")} a two\r\n${stamp(5)} ${details("t4")} framed one\n$`),
  );
  assert.equal(await (await send("/tasks/t3/logs?stdout=1")).text(), "b one\r\n");
});

Deno.test("the dashboard reads lines with and without frames", async () => {
  for (const tty of [true, false]) {
    const { app, task } = await cluster({ tty });
    const a = task("t1", "running");
    a.say(1, "a one");
    a.say(2, "");
    a.say(3, "a three");
    const query = "stdout=1&stderr=1&timestamps=1&details=1&tail=2";
    // As its page asks: without a version.
    const response = await app(new Request(`http://fleet/services/s/logs?${query}`));
    const found: string[][] = [];
    for await (const lines of readLogLines(response)) {
      for (const { time, task, node, text } of lines) found.push([time, task, node, text]);
    }
    assert.deepEqual(found, [
      [stamp(2), "t1", "node1", ""],
      [stamp(3), "t1", "node1", "a three"],
    ]);
  }
});

Deno.test("following a terminal service goes on with the task that replaces another one", async () => {
  const { send, task } = await cluster({ tty: true });
  const a = task("t1", "running");
  a.say(1, "a one");
  const { upTo, reader } = readerOf(await send("/services/s/logs?stdout=1&follow=1"));
  await upTo("a one\r\n");
  a.say(2, "a two");
  await upTo("a two\r\n");
  a.end();
  const b = task("t2", "running");
  b.say(3, "b one");
  assert.equal(await upTo("b one\r\n"), "a one\r\na two\r\nb one\r\n");
  await reader.cancel();
});

Deno.test("what --tail leaves out does not come when the log is followed", async () => {
  for (const [tail, old] of [[0, ""], [1, "b two\n"]] as const) {
    const { send, task } = await cluster({ tty: true });
    const a = task("t1", "running", true);
    const b = task("t2", "running", false);
    a.say(1, "a one");
    b.say(2, "b one");
    b.say(3, "b two");
    const { upTo, reader } = readerOf(
      await send(`/services/s/logs?stdout=1&follow=1&tail=${tail}`),
    );
    const reading = upTo("a two\r\n");
    // New lines come when both are followed.
    while (!a.asked.some((query) => query.get("follow") === "1")) await turns();
    a.say(4, "a two");
    assert.equal(await reading, `${old}a two\r\n`);
    await reader.cancel();
  }
});

Deno.test("a followed log ends when the service and its tasks are gone, and not before", async () => {
  for (const tty of [true, false]) {
    const { send, task, remove, service, listeners } = await cluster({ tty });
    const others = listeners.size;
    const a = task("t1", "running");
    a.say(1, "a one");
    const { upTo, rest } = readerOf(await send("/services/s/logs?stdout=1&follow=1"));
    await upTo("a one");
    let over = false;
    const end = rest().then((all) => (over = true, all));
    remove("service", service);
    await turns();
    assert(!over, "its tasks still run");
    a.say(2, "a last one");
    remove("task", "t1");
    await turns();
    assert(!over, "its log has not ended");
    a.end();
    assert.match(await end, /a last one\r?\n$/);
    assert.equal(listeners.size, others);
  }
});

Deno.test("a followed log of one task ends with the task; one of a service waits for the next task", async () => {
  const { send, task, remove } = await cluster({ tty: false });
  const a = task("t1", "failed");
  a.say(1, "a one");
  a.end();
  const one = await send("/tasks/t1/logs?stdout=1&follow=1");
  assert.deepEqual(framesOf(new Uint8Array(await one.arrayBuffer())), ["1:a one\n"]);
  const { upTo, reader } = readerOf(await send("/services/s/logs?stdout=1&follow=1"));
  await upTo("a one");
  const next = upTo("b one");
  await turns();
  remove("task", "t1");
  task("t2", "running").say(2, "b one");
  await next;
  await reader.cancel();
});

Deno.test("what could not be had is told at the end, in a frame or between the lines", async () => {
  for (const tty of [true, false]) {
    const { send, task, remove, service } = await cluster({ tty });
    const a = task("t1", "running");
    a.say(1, "a one");
    const { upTo, rest } = readerOf(await send("/services/s/logs?stdout=1&follow=1"));
    await upTo("a one");
    const all = rest();
    while (!a.asked.some((query) => query.get("follow") === "1")) await turns();
    a.end(new FleetError("unavailable", "node h2 is gone"));
    remove("task", "t1");
    remove("service", service);
    const told = "Error grabbing logs: warning: incomplete log stream. some logs could not be " +
      "retrieved for the following reasons: node h2 is gone\n";
    if (tty) assert.equal(await all, `a one\r\n${told}`);
    else assert.deepEqual(framesOf(Buffer.from(await all, "latin1")), ["1:a one\n", `3:${told}`]);
  }
});

Deno.test("a slow reader makes the tasks' logs wait", async () => {
  for (const follow of [0, 1]) {
    const { send, task, logs } = await cluster({ tty: false });
    const LINE = 1_000;
    const PIECE = 32;
    let made = 0;
    for (const ID of ["t1", "t2", "t3"]) {
      task(ID, "running");
      logs.get(ID)!.read = async function* (query, signal) {
        // History is short; what is followed has no end.
        for (let n = 0; query.get("follow") !== `${follow}` ? n < 0 : n < 100_000; n++) {
          if (signal.aborted) return;
          const message = encoder.encode(`${stamp(n % 60)} ${"x".repeat(LINE - 40)}\n`);
          const bytes = new Uint8Array(PIECE * (8 + message.length));
          for (let i = 0; i < PIECE; i++) {
            const at = i * (8 + message.length);
            bytes[at] = 1;
            new DataView(bytes.buffer).setUint32(at + 4, message.length);
            bytes.set(message, at + 8);
          }
          made += PIECE;
          yield bytes;
        }
      };
    }
    const response = await send(`/services/s/logs?stdout=1&follow=${follow}`);
    const reader = response.body!.getReader();
    let read = 0;
    for (let i = 0; i < 8; i++) {
      read += (await reader.read()).value!.length;
      await turns();
      // Of each task what leaves next, what waits for it, and what its stream holds.
      const waiting = made - read / LINE;
      assert(waiting <= 3 * 4 * PIECE, `${waiting} lines wait after ${i + 1} reads`);
    }
    assert(read > 8 * LINE * PIECE / 2, "pieces are not single lines");
    await reader.cancel();
    const before = made;
    await turns();
    assert(made - before <= 3 * PIECE, "nothing is made for a reader who has gone");
  }
});
