import { Buffer } from "node:buffer";
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import type { Task } from "../../model/task.ts";
import { FleetError } from "../../base/errors.ts";
import { frame, readFrames, STDERR, STDOUT, SYSTEM, withReason } from "./frames.ts";
import { after, inPieces, lineOf, merged, newest } from "./lines.ts";
import type { LogLine } from "./lines.ts";
import { readTerminalLines } from "./terminal_lines.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const task = (ID: string): Task =>
  ({ ID, NodeID: "n1", ServiceID: "s1", Status: { State: "running" } }) as unknown as Task;

async function* cutUp(all: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}

Deno.test("frames are found however the bytes are cut", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.tuple(fc.constantFrom(STDOUT, STDERR), fc.string()), { maxLength: 20 }),
    fc.integer({ min: 1, max: 40 }),
    async (messages, size) => {
      const parts = messages.map(([stream, message]) => frame(stream, bytes(message)));
      const all = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
      const found: [number, string][] = [];
      for await (const some of readFrames(cutUp(all, size))) {
        for (const each of some) found.push([each.stream, text(each.payload)]);
      }
      deepStrictEqual(found, messages);
    },
  ));
});

const line = (id: string, time: string, message = "m\n"): LogLine =>
  lineOf(task(id), { stream: STDOUT, payload: bytes(`${time} ${message}`) });

/** A source that gives `size` lines at a time. */
async function* sourceOf(
  all: readonly LogLine[],
  size: number,
): AsyncGenerator<readonly LogLine[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}
const lines = (...all: LogLine[]) => sourceOf(all, 1);

Deno.test("lines of several tasks come in the order of their times, fractions of any length", async () => {
  const a = lines(
    line("a", "2026-01-01T00:00:00.1Z"),
    line("a", "2026-01-01T00:00:02.000000001Z"),
    line("a", "2026-01-01T00:00:09Z"),
  );
  const b = lines(line("b", "2026-01-01T00:00:00.09Z"), line("b", "2026-01-01T00:00:02Z"));
  const seen: string[] = [];
  for await (const some of merged([a, b, lines()])) {
    for (const { task, time } of some) seen.push(`${task.ID} ${time.slice(17)}`);
  }
  deepStrictEqual(seen, [
    "b 00.090000000Z",
    "a 00.100000000Z",
    "b 02.000000000Z",
    "a 02.000000001Z",
    "a 09.000000000Z",
  ]);
});

Deno.test("however many lines come at a time, they are merged by time, and none waits for nothing", async () => {
  const times = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 40 });
  await fc.assert(fc.asyncProperty(
    fc.array(fc.tuple(times, fc.integer({ min: 1, max: 9 })), { maxLength: 5 }),
    async (tasks) => {
      const all = tasks.map(([own], i) =>
        own.toSorted((a, b) => a - b).map((t) =>
          line(`t${i}`, `2026-01-01T00:00:${String(t).padStart(2, "0")}Z`)
        )
      );
      const found: LogLine[] = [];
      for await (const some of merged(all.map((own, i) => sourceOf(own, tasks[i]![1])))) {
        found.push(...some);
      }
      // A stable sort: of lines with one time those of the first task come first.
      const wanted = all.flat().toSorted((a, b) => a.time < b.time ? -1 : a.time > b.time ? 1 : 0);
      deepStrictEqual(found, wanted);
    },
  ));
  let asked = 0;
  async function* slow(): AsyncGenerator<readonly LogLine[]> {
    for (;;) {
      if (++asked > 1) await new Promise(() => {});
      yield [line("a", "2026-01-01T00:00:01Z"), line("a", "2026-01-01T00:00:02Z")];
    }
  }
  const first = await merged([slow()]).next();
  strictEqual((first.value as readonly LogLine[]).length, 2);
});

Deno.test("the newest lines of all tasks together", async () => {
  const many = Array.from(
    { length: 500 },
    (_, i) => line("a", `2026-01-01T00:00:00.${String(i).padStart(9, "0")}Z`, `${i}\n`),
  );
  deepStrictEqual(
    (await newest(lines(...many), 3)).map(({ message }) => text(message)),
    ["497\n", "498\n", "499\n"],
  );
  deepStrictEqual(await newest(lines(...many), 0), []);
});

Deno.test("a line says where it is from when it is asked to", () => {
  const one = line("t1", "2026-01-01T00:00:00.5Z", "hello\n");
  const format = (timestamps: boolean, details: boolean) =>
    [...inPieces([one], { timestamps, details, framed: false })].map(text);
  deepStrictEqual(format(false, false), ["hello\n"]);
  deepStrictEqual(format(true, true), [
    "2026-01-01T00:00:00.500000000Z com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1 hello\n",
  ]);
});

Deno.test("lines leave together, up to 64 KiB, in frames of their own", async () => {
  const time = "2026-01-01T00:00:00.5Z";
  const sizes = [1, 0, 40_000, 20_000, 10_000, 200_000, 7];
  const all = sizes.map((size) => line("t1", time, "x".repeat(size)));
  const pieces = [...inPieces(all, { timestamps: false, details: false, framed: true })];
  deepStrictEqual(pieces.map(({ length }) => length), [60_033, 10_008, 200_008, 15]);
  const found: number[] = [];
  for await (const some of readFrames(cutUp(Buffer.concat(pieces), 1_000))) {
    found.push(...some.map(({ payload }) => payload.length));
  }
  deepStrictEqual(found, sizes);
  deepStrictEqual([...inPieces([], { timestamps: true, details: true, framed: true })], []);
});

Deno.test("a terminal's lines are found however the bytes are cut, with a time each", async () => {
  const stamp = (i: number) => `2026-01-01T00:00:00.${String(i).padStart(9, "0")}Z `;
  const long = "y".repeat(16 * 1024);
  const messages = ["one\r\n", "\r\n", "tab 2026-01-01T00:00:00Z \n", long, long, "z\n", "$ "];
  const all = bytes(messages.map((message, i) => stamp(i) + message).join(""));
  for (const size of [1, 7, 4_096, 1_000_000]) {
    const found: LogLine[] = [];
    for await (const some of readTerminalLines(cutUp(all, size))) {
      found.push(...some.map((each) => lineOf(task("t1"), each)));
    }
    deepStrictEqual(found.map(({ message }) => text(message)), messages, `${size}`);
    deepStrictEqual(found.map(({ time }) => `${time} `), messages.map((_, i) => stamp(i)));
    strictEqual(found[0]!.stream, STDOUT);
  }
});

Deno.test("what ends a framed log too early is told in a frame, also in the middle of another one", async () => {
  const whole = [...frame(STDOUT, bytes("one\n")), ...frame(STDERR, bytes("two\n"))];
  for (const cut of [0, 3, 11]) {
    const failing = async function* () {
      yield new Uint8Array(whole.slice(0, 12));
      if (cut > 0) yield new Uint8Array(whole.slice(12, 12 + cut));
      throw new FleetError("unavailable", "node h2 is gone");
    };
    const found: [number, string][] = [];
    for await (const some of readFrames(withReason(failing()))) {
      for (const { stream, payload } of some) found.push([stream, text(payload)]);
    }
    deepStrictEqual(found, [
      [STDOUT, "one\n"],
      [SYSTEM, "Error grabbing logs: node h2 is gone\n"],
    ]);
  }
});

Deno.test("the moment after a time is one nanosecond later, over the second's end too", () => {
  strictEqual(after("2026-01-01T00:00:00.000000001Z"), "1767225600.000000002");
  strictEqual(after("2026-01-01T00:00:00.999999999Z"), "1767225601.000000000");
});
