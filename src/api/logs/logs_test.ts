import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import type { Task } from "../../model/task.ts";
import { frame, readFrames, STDERR, STDOUT } from "./frames.ts";
import { after, lineBytes, lineOf, merged, newest } from "./lines.ts";
import type { LogLine } from "./lines.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const task = (ID: string): Task =>
  ({ ID, NodeID: "n1", ServiceID: "s1", Status: { State: "running" } }) as unknown as Task;

async function* inPieces(all: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
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
      for await (const each of readFrames(inPieces(all, size))) {
        found.push([each.stream, text(each.payload)]);
      }
      deepStrictEqual(found, messages);
    },
  ));
});

const line = (id: string, time: string, message = "m\n"): LogLine =>
  lineOf(task(id), { stream: STDOUT, payload: bytes(`${time} ${message}`) });

async function* lines(...all: LogLine[]): AsyncGenerator<LogLine> {
  yield* all;
}

Deno.test("lines of several tasks come in the order of their times, fractions of any length", async () => {
  const a = lines(
    line("a", "2026-01-01T00:00:00.1Z"),
    line("a", "2026-01-01T00:00:02.000000001Z"),
    line("a", "2026-01-01T00:00:09Z"),
  );
  const b = lines(line("b", "2026-01-01T00:00:00.09Z"), line("b", "2026-01-01T00:00:02Z"));
  const seen: string[] = [];
  for await (const { task, time } of merged([a, b, lines()])) {
    seen.push(`${task.ID} ${time.slice(17)}`);
  }
  deepStrictEqual(seen, [
    "b 00.090000000Z",
    "a 00.100000000Z",
    "b 02.000000000Z",
    "a 02.000000001Z",
    "a 09.000000000Z",
  ]);
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
    text(lineBytes(one, { timestamps, details }));
  strictEqual(format(false, false), "hello\n");
  strictEqual(
    format(true, true),
    "2026-01-01T00:00:00.500000000Z com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1 hello\n",
  );
});

Deno.test("the moment after a time is one nanosecond later, over the second's end too", () => {
  strictEqual(after("2026-01-01T00:00:00.000000001Z"), "1767225600.000000002");
  strictEqual(after("2026-01-01T00:00:00.999999999Z"), "1767225601.000000000");
});
