/** Snapshots between managers: a head, chunks with back-pressure, and the receiver's word at the end. */
import type { Clock } from "../../base/clock.ts";
import { FleetError } from "../../base/errors.ts";
import type { InstallSnapshot } from "../../core/raft/message.ts";
import { readSnapshotHead, snapshotHead, snapshotMessage } from "./raft_codec.ts";
import type { RpcCaller, RpcStream } from "./types.ts";

export const SNAPSHOT_ROUTE = "raft.snapshot";
export const SNAPSHOT_CHUNK_BYTES = 128 * 1024;
export const MAX_SNAPSHOT_BYTES = 2 * 1024 * 1024 * 1024;
/** A transfer without progress is given up after this. */
export const SNAPSHOT_STALL_MS = 30_000;

/** Resolves when the receiver has taken the whole snapshot. */
export async function sendSnapshot(
  caller: RpcCaller,
  message: InstallSnapshot,
  clock: Clock,
): Promise<void> {
  const { data } = message.snapshot;
  const stream = caller.open(SNAPSHOT_ROUTE, snapshotHead(message));
  const watch = stallWatch(stream, clock);
  try {
    for (let at = 0; at < data.length; at += SNAPSHOT_CHUNK_BYTES) {
      await stream.send(data.subarray(at, at + SNAPSHOT_CHUNK_BYTES));
      watch.progress();
    }
    await stream.end();
    const reply = await stream[Symbol.asyncIterator]().next();
    if (reply.done) throw new FleetError("unavailable", "the snapshot was not acknowledged");
  } finally {
    watch.stop();
    stream.cancel("the snapshot transfer is over");
  }
}

/** Receives what {@link sendSnapshot} sends. @throws FleetError invalid */
export async function receiveSnapshot(
  stream: RpcStream,
  clock: Clock,
): Promise<InstallSnapshot> {
  const head = readSnapshotHead(stream.meta);
  if (typeof head === "string") throw new FleetError("invalid", head);
  if (head.bytes > MAX_SNAPSHOT_BYTES) {
    throw new FleetError("invalid", `snapshot of ${head.bytes} bytes is too large`);
  }
  // Collected first and joined once: memory grows with what arrives, not with what is announced.
  const chunks: Uint8Array[] = [];
  let received = 0;
  const watch = stallWatch(stream, clock);
  try {
    for await (const chunk of stream) {
      if (!(chunk instanceof Uint8Array) || chunk.length === 0) {
        throw new FleetError("invalid", "snapshot chunks are bytes");
      }
      received += chunk.length;
      if (received > head.bytes) throw new FleetError("invalid", "more bytes than announced");
      chunks.push(chunk);
      watch.progress();
    }
  } finally {
    watch.stop();
  }
  if (received !== head.bytes) {
    throw new FleetError("invalid", `snapshot of ${received} bytes, ${head.bytes} were announced`);
  }
  const data = new Uint8Array(received);
  let at = 0;
  for (const chunk of chunks) {
    data.set(chunk, at);
    at += chunk.length;
  }
  return snapshotMessage(head, data);
}

function stallWatch(stream: RpcStream, clock: Clock) {
  const start = () =>
    clock.after(SNAPSHOT_STALL_MS, () => {
      stream.cancel(`the snapshot made no progress for ${SNAPSHOT_STALL_MS} ms`, "timeout");
    });
  let cancel = start();
  return {
    progress() {
      cancel();
      cancel = start();
    },
    stop: () => cancel(),
  };
}
