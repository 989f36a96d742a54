/** The outgoing side towards one member: one long-lived connection, dialled again whenever it ends. */
import { type Clock, sleep } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { InstallSnapshot } from "../../core/raft/message.ts";
import type { Message, RaftId } from "../../core/raft/types.ts";
import { RaftSendQueue } from "./raft_send_queue.ts";
import { sendSnapshot } from "./raft_snapshot_stream.ts";
import type { RpcCaller, RpcDialer, RpcStream } from "./types.ts";

export const MESSAGES_ROUTE = "raft.messages";
const DIAL_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 50;
/** A member that comes back dials us too, which ends the wait at once. */
const MAX_RETRY_MS = 2_000;
/** A connection that held this long was a good one: the next retry is quick again. */
const STABLE_MS = 5_000;

export interface RaftPeerOptions {
  readonly self: RaftId;
  readonly id: RaftId;
  readonly addr: string;
  /** Goes first on every connection. */
  readonly hello: unknown;
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: RaftPeerEvents;
}

export interface RaftPeerEvents {
  /** The first that the member says. @throws FleetError when it must not be listened to */
  admit(hello: unknown): void;
  /** The member says that we are an old copy. */
  refused(error: FleetError): void;
  /** A batch came back on the connection that we opened. @throws FleetError when it is not acceptable */
  receive(bytes: unknown): void;
  connected(): void;
  /** Only after `connected`. */
  disconnected(): void;
  /** Messages were dropped. Never called from within {@link RaftPeer.send}. */
  unreachable(): void;
  /** Once for each snapshot. Never called from within {@link RaftPeer.send}. */
  snapshotSent(ok: boolean): void;
}

export class RaftPeer {
  readonly addr: string;
  readonly #options: RaftPeerOptions;
  readonly #queue: RaftSendQueue;
  readonly #controller = new AbortController();
  #caller: RpcCaller | undefined;
  #state: "dialling" | "connected" | "waiting" | "stopped" = "dialling";
  #snapshot: InstallSnapshot | undefined;
  #unreachableReported = false;
  /** Each side has heard which start the other one is. */
  #admitted = false;
  /** It is the member that is refused, not we. */
  #refusing = false;
  #endWait: (() => void) | undefined;

  constructor(options: RaftPeerOptions) {
    this.#options = options;
    this.addr = options.addr;
    this.#queue = new RaftSendQueue(options.self, options.id, options.logger);
  }

  get connected(): boolean {
    return this.#state === "connected";
  }

  /** Queues the message until {@link flush}, or drops it and says so. */
  send(message: Message): void {
    const lost = this.#state === "waiting" || this.#state === "stopped";
    if (message.type === "snapshot") {
      if (lost || this.#snapshot) {
        return queueMicrotask(() => this.#options.events.snapshotSent(false));
      }
      this.#snapshot = message;
      if (this.#caller && this.#admitted) this.#startSnapshot(this.#caller, message);
    } else if (lost || !this.#queue.push(message)) this.#reportUnreachable();
  }

  flush(): void {
    this.#queue.flush();
  }

  #reportUnreachable(): void {
    if (this.#unreachableReported) return;
    this.#unreachableReported = true;
    queueMicrotask(() => {
      this.#unreachableReported = false;
      if (this.#state !== "stopped") this.#options.events.unreachable();
    });
  }

  /** The member was heard of: do not wait with the next attempt. */
  retryNow(): void {
    this.#endWait?.();
  }

  stop(): void {
    this.#state = "stopped";
    this.#controller.abort(new DOMException("the member is no peer any more", "AbortError"));
    this.#queue.detach();
    if (this.#snapshot && !this.#admitted) {
      queueMicrotask(() => this.#options.events.snapshotSent(false));
    }
  }

  /** Dials until {@link stop}. Never rejects. */
  async run(): Promise<void> {
    const { clock, logger, id, addr } = this.#options;
    const { signal } = this.#controller;
    let failures = 0;
    let reported = "";
    while (!signal.aborted) {
      const startedAt = clock.monotonic();
      this.#state = "dialling";
      try {
        await this.#session(signal, () => reported = "");
        logger.log("debug", "raft connection ended", { node: id, address: addr });
      } catch (error) {
        if (signal.aborted) return;
        // Once per outage and reason, not once per attempt.
        const reason = messageOf(error);
        logger.log(reason === reported ? "debug" : "warn", `raft connection: ${reason}`, {
          node: id,
          address: addr,
        });
        reported = reason;
      }
      if (signal.aborted) return;
      failures = clock.monotonic() - startedAt >= STABLE_MS ? 0 : failures + 1;
      await this.#wait(failures, signal);
    }
  }

  async #session(signal: AbortSignal, onAdmitted: () => void): Promise<void> {
    const { dialer, addr, id, hello, events } = this.#options;
    let caller: RpcCaller | undefined;
    try {
      caller = await dialer.connect(addr, {
        signal,
        timeoutMs: DIAL_TIMEOUT_MS,
        expectNodeId: id,
      });
      const stream = caller.open(MESSAGES_ROUTE, hello, { signal });
      this.#state = "connected";
      this.#caller = caller;
      this.#queue.attach(stream);
      events.connected();
      for await (const said of stream) {
        if (!this.#admitted) {
          this.#admit(said, stream);
          this.#admitted = true;
          onAdmitted();
          if (this.#snapshot) this.#startSnapshot(caller, this.#snapshot);
        } else if (said instanceof Uint8Array) events.receive(said);
        // The other side asks whether we live, since somebody else came with our id.
        else await stream.send("yes");
      }
    } catch (error) {
      if (error instanceof FleetError && error.kind === "corrupt" && !this.#refusing) {
        events.refused(error);
      }
      throw error;
    } finally {
      this.#refusing = false;
      const wasConnected = this.#caller !== undefined;
      const wasAdmitted = this.#admitted;
      this.#admitted = false;
      this.#caller = undefined;
      this.#queue.detach();
      caller?.close();
      if (!signal.aborted) this.#lose(wasConnected, wasAdmitted);
    }
  }

  /** Tells the member, too, when it must not be listened to. */
  #admit(hello: unknown, stream: RpcStream): void {
    try {
      this.#options.events.admit(hello);
    } catch (error) {
      this.#refusing = true;
      if (error instanceof FleetError) stream.cancel(error.message, error.kind);
      throw error;
    }
  }

  #lose(wasConnected: boolean, wasAdmitted: boolean): void {
    this.#state = "waiting";
    const { events } = this.#options;
    // A transfer that had begun fails by itself with the connection.
    if (!wasAdmitted && this.#snapshot) {
      this.#snapshot = undefined;
      events.snapshotSent(false);
    }
    events.unreachable();
    if (wasConnected) events.disconnected();
  }

  #startSnapshot(caller: RpcCaller, message: InstallSnapshot): void {
    const { clock, logger, id, events } = this.#options;
    const { index } = message.snapshot.meta;
    const bytes = message.snapshot.data.length;
    sendSnapshot(caller, message, clock).then(() => {
      logger.log("info", "snapshot sent", { node: id, index, bytes });
      return true;
    }, (error: unknown) => {
      logger.log("warn", `snapshot not sent: ${messageOf(error)}`, { node: id, index, bytes });
      return false;
    }).then((ok) => {
      this.#snapshot = undefined;
      events.snapshotSent(ok);
    });
  }

  async #wait(failures: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const cap = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10));
    const woken = new AbortController();
    this.#endWait = () => woken.abort();
    try {
      await sleep(clock, cap * (0.5 + random.float() / 2), AbortSignal.any([signal, woken.signal]));
    } catch {
      /* stopped, or woken early */
    } finally {
      this.#endWait = undefined;
    }
  }
}
