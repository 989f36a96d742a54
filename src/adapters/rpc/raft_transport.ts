/**
 * Raft messages between managers. Every manager dials every other one and sends on what it dialled; what
 * it receives comes on what others dialled. Nothing here decides: delivery may fail, and raft is told.
 */
import type { Clock } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { rolesOf } from "../../core/pki/route_roles.ts";
import type { Message, RaftId } from "../../core/raft/types.ts";
import { decodeBatch } from "./raft_codec.ts";
import { helloOf, readHello } from "./raft_hello.ts";
import { MESSAGES_ROUTE, RaftPeer } from "./raft_peer.ts";
import { RaftSendQueue } from "./raft_send_queue.ts";
import { receiveSnapshot, SNAPSHOT_ROUTE } from "./raft_snapshot_stream.ts";
import { limitedLogger } from "./log_limiter.ts";
import type { Peer, RouteTable, RpcDialer, RpcStream } from "./types.ts";

/** Time for what a member that left should still hear. */
const FAREWELL_MS = 1_000;
/** A process that answers within this lives; another one must not take its place. */
const ALIVE_MS = 1_000;
/** Snapshots received at a time; each is held in memory until it is whole. */
const MAX_INCOMING_SNAPSHOTS = 2;

/** What raft hears from the transport. None of it is called from within `send`. */
export interface RaftInbox {
  /** @throws FleetError forbidden from one that must not be listened to (any more) */
  receive(message: Message): void;
  /** A connection with this member ended: if it leads, an election may start early. */
  peerClosed(nodeId: RaftId): void;
  /** Messages to this member were dropped. */
  unreachable(nodeId: RaftId): void;
  /** Once for each snapshot message: whether the member has taken it whole. */
  snapshotSent(nodeId: RaftId, ok: boolean): void;
  /** Somebody dialled and wants to speak; comes before `admit`. @throws FleetError forbidden when it is no member */
  enquire(nodeId: RaftId, run: Run): Promise<void>;
  /**
   * A member begins to speak, on its connection or on ours. @throws FleetError when it must not be listened to:
   * corrupt for an old copy of a member, forbidden for one that was removed
   */
  admit(nodeId: RaftId, run: Run): void;
  /** Another member found that this one is an old copy (kind `corrupt`). */
  refused(error: FleetError): void;
}

/** One start of a member's process; the role that owns the transport decides what it means. */
export interface Run {
  readonly joinedIndex: number;
  readonly starts: number;
  readonly name: string;
}

export interface RaftTransport {
  /** Never blocks and never throws. */
  send(messages: readonly Message[]): void;
  /** Whom to keep connections to; an address that changed is dialled anew. */
  setPeers(peers: readonly { readonly nodeId: RaftId; readonly addr: string }[]): void;
  /** Whether a connection to or from this member is open. */
  connected(nodeId: RaftId): boolean;
  close(): void;
}

export interface RaftEndpointOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * The receiving routes, which exist as long as the listener, and the transport, which exists as long as
 * this node is a manager.
 */
export class RaftEndpoint {
  readonly #options: RaftEndpointOptions;
  #transport: Transport | undefined;

  constructor(options: RaftEndpointOptions) {
    this.#options = options;
  }

  /** Managers only; who was removed is refused by the server's `refuse`. */
  register(table: RouteTable): void {
    table.streamRoute(MESSAGES_ROUTE, rolesOf(MESSAGES_ROUTE), async (stream, context) => {
      const { peer, remoteAddress } = context;
      await this.#open().serveMessages(stream, managerId(peer), remoteAddress);
    });
    table.streamRoute(SNAPSHOT_ROUTE, rolesOf(SNAPSHOT_ROUTE), async (stream, { peer }) => {
      await this.#open().serveSnapshot(stream, managerId(peer));
    });
  }

  /** Opens the one transport; it must be closed before another one is opened. */
  open(
    options: { nodeId: RaftId; run: Run; dialer: RpcDialer; inbox: RaftInbox },
  ): RaftTransport {
    this.#transport?.close();
    const transport = new Transport({ ...this.#options, ...options });
    this.#transport = transport;
    return transport;
  }

  #open(): Transport {
    if (!this.#transport || this.#transport.closed) {
      throw new FleetError("unavailable", "this manager does not take part in the consensus yet");
    }
    return this.#transport;
  }
}

function managerId(peer: Peer): RaftId {
  if (peer.role !== "manager") throw new FleetError("forbidden", "managers only");
  return peer.nodeId;
}

interface Incoming {
  readonly stream: RpcStream;
  readonly run: Run;
  readonly remoteAddress: string;
  /** Called when the member answers a question whether it lives. */
  onAlive: () => void;
  /** For a member that we cannot dial (yet): a new leader whose address our log does not know. */
  readonly replies: RaftSendQueue;
}

interface TransportOptions extends RaftEndpointOptions {
  readonly nodeId: RaftId;
  readonly run: Run;
  readonly dialer: RpcDialer;
  readonly inbox: RaftInbox;
}

class Transport implements RaftTransport {
  readonly #options: TransportOptions;
  readonly #logger: Logger;
  readonly #peers = new Map<RaftId, RaftPeer>();
  /** Connections to members that were removed, for their last messages. */
  readonly #leaving = new Map<RaftId, RaftPeer>();
  readonly #incoming = new Map<RaftId, Incoming>();
  /** Members with an open connection whose end was not reported yet. */
  readonly #alive = new Set<RaftId>();
  readonly #incomingSnapshots = new Map<RaftId, RpcStream>();
  closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#logger = limitedLogger(options.logger, options.clock);
  }

  send(messages: readonly Message[]): void {
    if (this.closed) return;
    for (const message of messages) this.#send(message);
    for (const to of new Set(messages.map((message) => message.to))) {
      (this.#peers.get(to) ?? this.#leaving.get(to))?.flush();
      this.#incoming.get(to)?.replies.flush();
    }
  }

  #send(message: Message): void {
    const { to } = message;
    const peer = this.#peers.get(to) ?? this.#leaving.get(to);
    const incoming = this.#incoming.get(to);
    if (peer && (peer.connected || !incoming || message.type === "snapshot")) {
      return peer.send(message);
    }
    const { inbox } = this.#options;
    if (message.type === "snapshot") return queueMicrotask(() => inbox.snapshotSent(to, false));
    if (!incoming?.replies.push(message)) queueMicrotask(() => inbox.unreachable(to));
  }

  connected(nodeId: RaftId): boolean {
    return this.#incoming.has(nodeId) || (this.#peers.get(nodeId)?.connected ?? false);
  }

  setPeers(peers: readonly { readonly nodeId: RaftId; readonly addr: string }[]): void {
    if (this.closed) return;
    const wanted = new Map(peers.map(({ nodeId, addr }) => [nodeId, addr]));
    wanted.delete(this.#options.nodeId);
    for (const [id, peer] of [...this.#peers]) {
      const addr = wanted.get(id);
      if (addr === peer.addr) continue;
      this.#peers.delete(id);
      if (addr === undefined) this.#bidFarewell(id, peer);
      else peer.stop();
    }
    for (const [id, addr] of wanted) {
      this.#endFarewell(id);
      if (!this.#peers.has(id)) this.#startPeer(id, addr);
    }
  }

  /** The member is none any more: it may still be told so, but is not listened to. */
  #bidFarewell(id: RaftId, peer: RaftPeer): void {
    this.#dropIncoming(id);
    this.#endFarewell(id);
    this.#leaving.set(id, peer);
    this.#options.clock.after(FAREWELL_MS, () => {
      if (this.#leaving.get(id) === peer) this.#endFarewell(id);
    });
  }

  #endFarewell(id: RaftId): void {
    this.#leaving.get(id)?.stop();
    this.#leaving.delete(id);
  }

  #startPeer(id: RaftId, addr: string): void {
    const { nodeId: self, run, dialer, clock, random, inbox } = this.#options;
    const peer: RaftPeer = new RaftPeer({
      self,
      hello: helloOf(run),
      id,
      addr,
      dialer,
      clock,
      random,
      logger: this.#logger,
      events: {
        admit: (hello) => inbox.admit(id, readHello(hello)),
        refused: (error) => this.closed || inbox.refused(error),
        receive: (bytes) => {
          if (this.#peers.get(id) === peer) this.#receive(id, bytes);
        },
        connected: () => this.#alive.add(id),
        disconnected: () => this.#ended(id),
        unreachable: () => this.closed || inbox.unreachable(id),
        snapshotSent: (ok) => this.closed || inbox.snapshotSent(id, ok),
      },
    });
    this.#peers.set(id, peer);
    void peer.run();
  }

  /** The member is none any more: what it opened ends too, without a hint to raft. */
  #dropIncoming(id: RaftId): void {
    this.#alive.delete(id);
    const incoming = this.#incoming.get(id);
    this.#incoming.delete(id);
    incoming?.stream.cancel(`node ${id} is no member of the consensus group`, "forbidden");
  }

  #ended(id: RaftId): void {
    if (this.closed || !this.#alive.delete(id)) return;
    this.#options.inbox.peerClosed(id);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const peer of [...this.#peers.values(), ...this.#leaving.values()]) peer.stop();
    for (const { stream } of this.#incoming.values()) {
      stream.cancel("the manager has left the consensus group", "unavailable");
    }
    for (const stream of this.#incomingSnapshots.values()) stream.cancel();
  }

  // --- receiving ---

  async serveMessages(stream: RpcStream, id: RaftId, remoteAddress: string): Promise<void> {
    const { inbox, nodeId, run: own } = this.#options;
    const run = readHello(stream.meta);
    await inbox.enquire(id, run);
    if (this.closed) throw new FleetError("unavailable", "the manager has left");
    await this.#refuseSecond(id, run);
    inbox.admit(id, run);
    const old = this.#incoming.get(id);
    const replies = new RaftSendQueue(nodeId, id, this.#logger);
    const incoming: Incoming = { stream, run, remoteAddress, replies, onAlive: () => {} };
    this.#incoming.set(id, incoming);
    old?.stream.cancel("replaced by a newer connection");
    try {
      await stream.send(helloOf(own));
      replies.attach(stream);
      this.#alive.add(id);
      this.#peers.get(id)?.retryNow();
      for await (const batch of stream) {
        if (batch instanceof Uint8Array) this.#receive(id, batch);
        else incoming.onAlive();
      }
    } catch (error) {
      if (error instanceof FleetError && error.kind === "corrupt" && !this.closed) {
        inbox.refused(error);
      }
      throw error;
    } finally {
      replies.detach();
      if (this.#incoming.get(id) === incoming) {
        this.#incoming.delete(id);
        this.#ended(id);
      }
    }
  }

  /**
   * While one process of a member lives, another one with its id does not get in: a process that was restarted
   * does not answer on its old connection. @throws FleetError corrupt
   */
  async #refuseSecond(id: RaftId, run: Run): Promise<void> {
    const first = this.#incoming.get(id);
    if (!first || first.run.name === run.name) return;
    const alive = await new Promise<boolean>((resolve) => {
      const cancel = this.#options.clock.after(ALIVE_MS, () => resolve(false));
      const settle = (answer: boolean) => {
        cancel();
        resolve(answer);
      };
      first.onAlive = () => settle(true);
      first.stream.signal.addEventListener("abort", () => settle(false), { once: true });
      first.stream.send("alive?").catch(() => settle(false));
    });
    if (!alive || this.#incoming.get(id) !== first) return;
    throw new FleetError(
      "corrupt",
      `two nodes have the id ${id}: another one is running, seen from ${first.remoteAddress}; ` +
        "this one's data directory is a copy; run fleet leave --force on the one that shall go, and join again",
    );
  }

  /** @throws FleetError when the batch cannot be read or pretends to come from somebody else */
  #receive(id: RaftId, bytes: unknown): void {
    const batch = bytes instanceof Uint8Array ? decodeBatch(bytes) : "raft messages are bytes";
    if (typeof batch === "string") throw new FleetError("invalid", batch);
    this.#checkEnvelope(id, batch.from, batch.to);
    for (const message of batch.messages) {
      if (!this.closed) this.#options.inbox.receive(message);
    }
  }

  #checkEnvelope(id: RaftId, from: RaftId, to: RaftId): void {
    if (from !== id) throw new FleetError("forbidden", `node ${id} sent messages of another node`);
    if (to !== this.#options.nodeId) {
      throw new FleetError("invalid", `messages for ${to} reached ${this.#options.nodeId}`);
    }
  }

  async serveSnapshot(stream: RpcStream, id: RaftId): Promise<void> {
    if (!this.#incoming.has(id)) {
      throw new FleetError("unavailable", `node ${id} has not been let in yet`);
    }
    this.#incomingSnapshots.get(id)?.cancel("replaced by a newer snapshot");
    if (
      !this.#incomingSnapshots.has(id) && this.#incomingSnapshots.size >= MAX_INCOMING_SNAPSHOTS
    ) {
      throw new FleetError("unavailable", "other snapshots are being received");
    }
    this.#incomingSnapshots.set(id, stream);
    try {
      const message = await receiveSnapshot(stream, this.#options.clock);
      this.#checkEnvelope(id, message.from, message.to);
      if (this.closed) throw new FleetError("unavailable", "the manager has left");
      this.#options.inbox.receive(message);
      await stream.send({ ok: true });
    } catch (error) {
      this.#logger.log("warn", `snapshot not received: ${messageOf(error)}`, { node: id });
      throw error;
    } finally {
      if (this.#incomingSnapshots.get(id) === stream) this.#incomingSnapshots.delete(id);
    }
  }
}
