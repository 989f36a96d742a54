import assert from "node:assert/strict";
import { MemberMemory } from "./member_memory.ts";
import type { MemoryRecord } from "./member_memory.ts";

/** A file: `written` is what a restart would find. */
class Disk {
  written: MemoryRecord | undefined;
  kept: MemoryRecord | undefined;
  writes = 0;
  memory(): MemoryRecord | undefined {
    return this.written;
  }
  keepMemory(record: MemoryRecord, now: boolean): void {
    this.kept = record;
    if (now) this.sync();
  }
  sync(): void {
    this.written = JSON.parse(JSON.stringify(this.kept)) as MemoryRecord;
    this.writes++;
  }
}

const start = (disk: Disk, name = "x") => new MemberMemory(disk, { joinedIndex: 0, name });
const run = (starts: number, name: string, joinedIndex = 0) => ({ joinedIndex, starts, name });
const CONF = { voters: ["a", "b"], learners: [] };

Deno.test("every start is counted on disk before anybody hears of it", () => {
  const disk = new Disk();
  assert.deepEqual(start(disk, "one").own, run(1, "one"));
  assert.deepEqual(start(disk, "two").own, run(2, "two"));
});

Deno.test("a restart is welcome; an older start and a copy of the same start are not, also after restarts", () => {
  const disk = new Disk();
  const first = start(disk);
  first.admit("b", run(5, "p"));
  first.admit("b", run(5, "p"));
  first.admit("b", run(6, "q"));
  for (const memory of [first, start(disk)]) {
    assert.throws(() => memory.admit("b", run(5, "p")), {
      kind: "corrupt",
      message: /newer start of node b .*start 5 of its data, 6 was seen.*fleet leave --force/,
    });
    assert.throws(() => memory.admit("b", run(6, "r")), {
      kind: "corrupt",
      message: /two nodes have the id b/,
    });
    memory.admit("b", run(6, "q"));
  }
});

Deno.test("a member that joined anew begins to count anew", () => {
  const memory = start(new Disk());
  memory.admit("b", run(9, "p", 10));
  memory.admit("b", run(1, "q", 20));
  assert.throws(() => memory.admit("b", run(9, "p", 10)), { kind: "corrupt" });
});

Deno.test("what the core remembers goes with the log's next write, or at the next look", () => {
  const disk = new Disk();
  const memory = start(disk);
  const before = disk.writes;
  memory.note([["b", 7]], CONF);
  assert.equal(disk.writes, before);
  memory.note([["b", 7]], CONF);
  assert.equal(disk.writes, before + 1);
  memory.note([["b", 7]], CONF);
  assert.equal(disk.writes, before + 1, "nothing new, nothing written");
  assert.deepEqual(start(disk).remembered(), [["b", 7]]);
});

Deno.test("who left is forgotten, and what this member confirmed is not", () => {
  const disk = new Disk();
  const memory = start(disk);
  memory.admit("b", run(5, "p"));
  memory.note([], { voters: [], learners: [] });
  assert.throws(() => memory.admit("b", run(4, "o")), { kind: "corrupt" });
  memory.note([], { voters: ["a"], learners: [] });
  memory.admit("b", run(4, "o"));
  memory.noteOwnConfirmed(100);
  memory.noteOwnConfirmed(90);
  assert.equal(start(disk).confirmed, 100);
});
