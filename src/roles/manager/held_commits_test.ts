import assert from "node:assert/strict";
import type { Message } from "../../core/raft/types.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { HeldCommits } from "./held_commits.ts";

function append(to: string, commit: number, entries = 0): Message {
  return {
    type: "append",
    from: "a",
    to,
    term: 1,
    prevIndex: commit,
    prevTerm: 1,
    entries: Array.from({ length: entries }, (_, i) => ({
      index: commit + i + 1,
      term: 1,
      type: "normal" as const,
      data: new Uint8Array(),
    })),
    commit,
    expect: 0,
  };
}

function setUp() {
  const clock = new ManualClock();
  const sent: string[] = [];
  const held = new HeldCommits(clock, (messages) => {
    for (const m of messages) if ("commit" in m) sent.push(`${m.type} ${m.to} ${m.commit}`);
  });
  return { clock, sent, held };
}

Deno.test("news of a commit wait for an append that takes them along", async () => {
  const { clock, sent, held } = setUp();
  held.send([append("b", 5), append("c", 5)]);
  assert.deepEqual(sent, []);
  held.send([append("b", 6, 1)]);
  assert.deepEqual(sent, ["append b 6"]);
  await clock.advance(10);
  assert.deepEqual(sent, ["append b 6", "append c 5"]);
  await clock.advance(10);
  assert.equal(sent.length, 2);
});

Deno.test("the newest news are sent, once, and none after the end", async () => {
  const { clock, sent, held } = setUp();
  held.send([append("b", 5)]);
  held.send([append("b", 6)]);
  await clock.advance(2);
  assert.deepEqual(sent, ["append b 6"]);
  held.send([append("b", 7)]);
  held.stop();
  await clock.advance(10);
  assert.equal(sent.length, 1);
});
