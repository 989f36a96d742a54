import { deepStrictEqual, rejects } from "node:assert/strict";
import type { InstallSnapshot } from "../../core/raft/message.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { snapshotHead } from "./raft_codec.ts";
import { MAX_SNAPSHOT_BYTES, receiveSnapshot, SNAPSHOT_STALL_MS } from "./raft_snapshot_stream.ts";
import type { RpcStream } from "./types.ts";

const DATA = new Uint8Array([1, 2, 3, 4, 5]);
const MESSAGE: InstallSnapshot = {
  type: "snapshot",
  from: "m1",
  to: "m2",
  term: 3,
  snapshot: {
    meta: { index: 10, term: 2, conf: { voters: ["m1", "m2"], learners: [] } },
    data: DATA,
  },
};
const HEAD = snapshotHead(MESSAGE);

/** What a peer sends; `"hangs"` is a peer that sends nothing more and does not end. */
function stream(meta: unknown, chunks: readonly unknown[]): RpcStream {
  let cancel: (error: Error) => void = () => {};
  const cancelled = new Promise<never>((_, reject) => cancel = reject);
  cancelled.catch(() => {});
  return {
    meta,
    cancel: (reason?: string) => cancel(new Error(reason)),
    async *[Symbol.asyncIterator]() {
      for (const chunk of chunks) yield chunk === "hangs" ? await cancelled : chunk;
    },
  } as unknown as RpcStream;
}

const receive = (meta: unknown, ...chunks: unknown[]) =>
  receiveSnapshot(stream(meta, chunks), new ManualClock());

Deno.test("snapshot stream: what arrives in pieces is whole again", async () => {
  deepStrictEqual(await receive(HEAD, DATA.subarray(0, 2), DATA.subarray(2)), MESSAGE);
});

Deno.test("snapshot stream: no more than announced, no less, and nothing but bytes", async () => {
  await rejects(receive(HEAD, DATA, DATA), /more bytes than announced/);
  await rejects(receive(HEAD, DATA.subarray(1)), /snapshot of 4 bytes, 5 were announced/);
  await rejects(receive(HEAD, "text"), /snapshot chunks are bytes/);
  await rejects(receive(HEAD, new Uint8Array(0)), /snapshot chunks are bytes/);
});

Deno.test("snapshot stream: bad heads are refused before anything is taken", async () => {
  await rejects(receive({ ...HEAD, bytes: MAX_SNAPSHOT_BYTES + 1 }), /is too large/);
  await rejects(receive({ ...HEAD, bytes: -1 }), /malformed snapshot head/);
  await rejects(receive({ ...HEAD, voters: "m1" }), /malformed snapshot head/);
  await rejects(receive({ ...HEAD, version: 99 }), /snapshot of version 99/);
  await rejects(receive(null), /malformed snapshot head/);
});

Deno.test("snapshot stream: a transfer without progress is given up", async () => {
  const clock = new ManualClock();
  const failed = rejects(
    receiveSnapshot(stream(HEAD, [DATA.subarray(0, 2), "hangs"]), clock),
    /no progress/,
  );
  await clock.advance(SNAPSHOT_STALL_MS);
  await failed;
});
