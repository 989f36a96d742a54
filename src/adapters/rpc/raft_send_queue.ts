/** What waits to go to one member. Filled without blocking, emptied at the pace of a stream. */
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { RaftId } from "../../core/raft/types.ts";
import { BatchEncoder, type BatchMessage } from "./raft_codec.ts";
import type { RpcStream } from "./types.ts";

/** Appends beyond this are dropped; raft sends them again when it hears that they were. */
export const MAX_QUEUED_APPEND_BYTES = 16 * 1024 * 1024;
/** Votes, heartbeats and replies are small and get in a little longer. */
export const MAX_QUEUED_BYTES = MAX_QUEUED_APPEND_BYTES + 1024 * 1024;
/** A batch is closed at this size; messages of one turn share one write below it. */
const BATCH_BYTES = 256 * 1024;

export class RaftSendQueue {
  readonly #batches: Uint8Array[] = [];
  readonly #open: BatchEncoder;
  #closedBytes = 0;
  #stream: RpcStream | undefined;
  /** The stream has not taken the last batch. */
  #blocked = false;

  constructor(from: RaftId, to: RaftId, readonly logger: Logger) {
    this.#open = new BatchEncoder(from, to);
  }

  get bytes(): number {
    return this.#closedBytes + this.#open.byteLength;
  }

  /** False when there is no room: the message is dropped. Nothing leaves before {@link flush}. */
  push(message: BatchMessage): boolean {
    const limit = message.type === "append" ? MAX_QUEUED_APPEND_BYTES : MAX_QUEUED_BYTES;
    if (this.bytes >= limit) return false;
    this.#open.add(message);
    if (this.#open.byteLength >= BATCH_BYTES) {
      this.#closedBytes += this.#open.byteLength;
      this.#batches.push(this.#open.take());
    }
    return true;
  }

  /** From now on what is queued flows into `stream`. */
  attach(stream: RpcStream): void {
    this.#stream = stream;
    this.#blocked = false;
    this.flush();
  }

  /** Forgets the stream and what waited for it. */
  detach(): void {
    this.#stream = undefined;
    this.#batches.length = 0;
    this.#closedBytes = 0;
    this.#open.take();
  }

  #take(): Uint8Array | undefined {
    const batch = this.#batches.shift();
    if (batch) {
      this.#closedBytes -= batch.length;
      return batch;
    }
    return this.#open.count > 0 ? this.#open.take() : undefined;
  }

  /**
   * Writes what is queued. To the socket within this call if there is room, so that the other members
   * work while this one waits for its disk; the rest follows as the stream takes it.
   */
  flush(): void {
    const stream = this.#stream;
    while (stream && !this.#blocked) {
      const batch = this.#take();
      if (!batch) return;
      const sent = stream.send(batch);
      this.#blocked = !stream.flush();
      sent.then(() => this.#unblock(stream), (error: unknown) => {
        // Whoever reads the stream sees its end and detaches.
        this.logger.log("debug", `raft messages were lost: ${messageOf(error)}`);
      });
    }
  }

  #unblock(stream: RpcStream): void {
    if (!this.#blocked || stream !== this.#stream) return;
    this.#blocked = false;
    this.flush();
  }
}
