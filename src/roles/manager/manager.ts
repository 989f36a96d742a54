import type { Clock } from "../../base/clock.ts";
import { sleep } from "../../base/clock.ts";
import { FleetError, kindOf, messageOf } from "../../base/errors.ts";
import type { ErrorKind } from "../../base/errors.ts";
import { Group } from "../../base/group.ts";
import { newId } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import type { Meter } from "../../base/meter.ts";
import type { Random } from "../../base/random.ts";
import { traced } from "../../base/tracer.ts";
import type { Tracer } from "../../base/tracer.ts";
import { bootstrap } from "../../core/control/bootstrap.ts";
import type { Foundation } from "../../core/control/bootstrap.ts";
import type { Asker } from "../../core/control/audit.ts";
import type { ControlContext } from "../../core/control/context.ts";
import type { ControlArgs, ControlMethod, ControlResult } from "../../core/control/methods.ts";
import { RaftNode } from "../../core/raft/node.ts";
import type { ConfState, Message } from "../../core/raft/types.ts";
import { encodeSnapshot } from "../../core/store/codec.ts";
import { MemoryStore } from "../../core/store/memory_store.ts";
import type { Transaction } from "../../core/store/transaction.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import type { RpcDialer } from "../rpc.ts";
import type { Trust } from "../node/ports.ts";
import { prepareRootChange } from "./external_ca.ts";
import type { ExternalCa } from "./external_ca.ts";
import { performAsUser } from "./audited_calls.ts";
import { GroupAsker, MEMBERS_ROUTE } from "./group_view.ts";
import type { GroupView } from "./group_view.ts";
import { LeaderCalls } from "./leader_calls.ts";
import type { LeaderWork } from "./leader_work.ts";
import { MemberMemory } from "./member_memory.ts";
import type { MemoryStorage, Run } from "./member_memory.ts";
import { MemberDoor } from "./member_door.ts";
import { Membership } from "./membership.ts";
import type { Member } from "./membership.ts";
import { lostAcknowledgedEntries, RaftRunner } from "./raft_runner.ts";
import type { RaftLog, RaftTransport } from "./raft_runner.ts";
import { runRoleManager } from "./role_manager.ts";
import { StoreMachine } from "./store_machine.ts";
import { Writer } from "./writer.ts";

/** Callbacks of the transport into raft. */
export interface RaftInbox {
  /** @throws FleetError forbidden from one that is no member (any more) */
  receive(message: Message): void;
  peerClosed(nodeId: string): void;
  unreachable(nodeId: string): void;
  snapshotSent(nodeId: string, ok: boolean): void;
  /** Before `admit`, for one that dialled: whether it is a member. @throws FleetError forbidden */
  enquire(nodeId: string, run: Run): Promise<void>;
  /** @throws FleetError corrupt (an old copy of the member) or forbidden (it is none) */
  admit(nodeId: string, run: Run): void;
  /** Another member found that this one is an old copy. */
  refused(error: FleetError): void;
}

export interface ManagerTransport extends RaftTransport {
  /** Whether a connection to or from this member is open. */
  connected(nodeId: string): boolean;
  close(): void;
}

export interface ManagerOptions {
  readonly nodeId: string;
  readonly addr: string;
  readonly log: RaftLog & MemoryStorage;
  readonly openTransport: (inbox: RaftInbox, run: Run) => ManagerTransport;
  readonly dialer: RpcDialer;
  readonly trust: Trust;
  readonly external: ExternalCa;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter?: Meter | undefined;
  readonly tracer?: Tracer | undefined;
  readonly defer: (fn: () => void) => void;
  /** Addresses of managers that are known from elsewhere, until the store names them. */
  readonly knownManagers: readonly { readonly nodeId: string; readonly addr: string }[];
  /** Index of the entry that added this member; 0 for the founder. */
  readonly joinedIndex: number;
  readonly tickMs: number;
  /** What the leader runs beside the role manager: control loops and dispatcher. */
  readonly createLeaderWork: (manager: Manager) => LeaderWork;
  /** The replicated list of refused nodes changed. */
  readonly onBlocked: (nodeIds: readonly string[]) => void;
  /** This manager cannot go on; the sentence says why. */
  readonly onFailure: (error: unknown) => void;
  /** This node was taken out of the consensus group. */
  readonly onRemoved: () => void;
}

/** Who asks for a control method, and as a part of what. */
export interface Caller {
  /** In the audit log's words. */
  readonly actor?: string | undefined;
  /** The node that was asked. */
  readonly via?: string | undefined;
  /** The W3C trace context of the request. */
  readonly trace?: string | undefined;
}

/** Failures that say nothing about the cluster's state. */
const NOTHING_DECIDED: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  ...["unavailable", "timeout", "canceled", "internal", "corrupt", "unimplemented"] as const,
]);
/** A read waits this long for a majority before it is answered from what this node knows. */
const READ_TIMEOUT_MS = 2_000;
/** Between two pieces of a snapshot, which nobody waits for: writes get most of the time. */
const SNAPSHOT_PAUSE_MS = 10;
/** How often what the core remembers of the others is looked at, to be kept on disk. */
const MEMORY_PERIOD_MS = 2_000;
/** After its work failed, a leader that cannot hand over tries again this much later. */
const LEADER_WORK_RETRY_MS = 1_000;

/** One member of the consensus group with its copy of the store; the leader also runs the cluster. */
export class Manager {
  readonly store = new MemoryStore();
  readonly writer: Writer;
  readonly runner: RaftRunner;
  readonly #options: ManagerOptions;
  readonly #transport: ManagerTransport;
  readonly #leaderCalls: LeaderCalls;
  readonly #memory: MemberMemory;
  #cancelMemory: () => void = () => {};
  #leaderGroup: Group | undefined;
  #leaderWork: LeaderWork | undefined;
  readonly #membership: Membership;
  readonly #door: MemberDoor;
  readonly #group: GroupAsker;
  #stopped = false;
  #ready: Promise<void> = Promise.resolve();

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#membership = new Membership({
      ...options,
      view: this.store,
      runner: () => this.runner,
      connected: (id) => this.#transport.connected(id),
    });
    this.#door = new MemberDoor({
      ...options,
      membership: this.#membership,
      applied: () => this.runner.applied,
    });
    const machine = new StoreMachine(
      this.store,
      () => new Promise((resolve) => void options.clock.after(SNAPSHOT_PAUSE_MS, resolve)),
    );
    const { log, joinedIndex } = options;
    this.#memory = new MemberMemory(log, { joinedIndex, name: newId(options.random) });
    if (this.#memory.confirmed > log.lastIndex()) {
      throw lostAcknowledgedEntries(this.#memory.confirmed, log.lastIndex());
    }
    const snapshot = log.snapshot();
    if (snapshot) machine.restore(snapshot);
    this.#transport = options.openTransport({
      enquire: (id, run) => this.#door.enquire(id, run.joinedIndex),
      admit: (id, run) => {
        this.#door.assertMember(id);
        this.#memory.admit(id, run);
      },
      refused: (error) => this.#refused(error),
      receive: (message) => {
        this.#door.assertMember(message.from);
        this.#membership.noteHeard(message.from);
        this.runner.step(message);
      },
      peerClosed: (id) => this.runner.peerClosed(id),
      unreachable: (id) => this.runner.unreachable(id),
      snapshotSent: (id, ok) => this.runner.snapshotSent(id, ok),
    }, this.#memory.own);
    const node = new RaftNode({
      id: options.nodeId,
      electionTicks: CLUSTER_DEFAULTS.electionTick,
      heartbeatTicks: CLUSTER_DEFAULTS.heartbeatTick,
      random: options.random,
      applied: snapshot?.meta.index ?? 0,
      joinedIndex,
      remembered: this.#memory.remembered(),
    }, log);
    this.#membership.conf = node.status().conf;
    this.runner = new RaftRunner({
      id: options.nodeId,
      run: this.#memory.own.name,
      node,
      log: options.log,
      transport: this.#transport,
      machine,
      clock: options.clock,
      logger: options.logger,
      meter: options.meter,
      defer: options.defer,
      tickMs: options.tickMs,
      snapshotInterval: () =>
        clusterOf(this.store)?.Spec.Raft?.SnapshotInterval || CLUSTER_DEFAULTS.snapshotInterval,
      entriesForSlowFollowers: () =>
        clusterOf(this.store)?.Spec.Raft?.LogEntriesForSlowFollowers ||
        CLUSTER_DEFAULTS.logEntriesForSlowFollowers,
      events: {
        onLeadership: (leader, leading) => {
          this.#membership.noteLeader(leader);
          this.#onLeadership(leading);
        },
        onMembers: (conf) => this.#onMembers(conf),
        onRegression: (index) => this.#keepQuietly(() => this.#memory.noteOwnConfirmed(index)),
        onFailure: (error) => options.onFailure(error),
      },
    });
    const { clock, tracer } = options;
    this.writer = new Writer({ store: this.store, proposer: this.runner, clock, tracer });
    this.#leaderCalls = new LeaderCalls({
      dialer: options.dialer,
      clock: options.clock,
      leader: () => this.#leaderAddress(),
      noLeader: () => this.noLeaderSentence(),
    });
    this.#group = new GroupAsker({
      clock: options.clock,
      membership: this.#membership,
      own: () => this.ownView(),
      askLeader: (signal) =>
        this.onLeader(MEMBERS_ROUTE, {}, () => Promise.resolve(this.ownView()), signal),
    });
    this.store.onApply((changes) => {
      if (changes.some(({ table }) => table === "cluster")) {
        this.#announceBlocked();
        this.#takeTiming();
      }
      if (changes.some(({ table }) => table === "node")) this.#updatePeers();
    });
  }

  /** Prepares the empty log of a cluster's first manager, so that it may vote for itself. */
  static async found(log: RaftLog, nodeId: string): Promise<void> {
    const data = await encodeSnapshot(new MemoryStore().capture(), () => Promise.resolve());
    log.append({
      entries: [],
      hardState: { term: 1, vote: "", commit: 1 },
      snapshot: { meta: { index: 1, term: 1, conf: { voters: [nodeId], learners: [] } }, data },
    });
  }

  start(): void {
    this.#takeTiming();
    this.#updatePeers();
    this.#announceBlocked();
    this.runner.start();
    this.#noteMemory();
    const { voters } = this.#membership.conf;
    if (voters.length === 1 && voters[0] === this.#options.nodeId) this.runner.campaign();
  }

  /** Writes the first objects of a new cluster. */
  async bootstrap(foundation: Foundation): Promise<void> {
    await this.#untilLeading();
    await this.write((context) => bootstrap(context.tx, context.newId, foundation));
  }

  /** One transaction as soon as this manager leads; for a cluster that was just made anew. */
  async reorganise(run: (tx: Transaction) => void): Promise<void> {
    await this.#untilLeading();
    await this.write(({ tx }) => run(tx));
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cancelMemory();
    this.runner.stop();
    await this.#leaderGroup?.stop();
    this.#leaderCalls.close();
    this.#door.close();
    this.#transport.close();
  }

  #refused(error: FleetError): void {
    if (this.#stopped) return;
    this.runner.stop();
    this.#options.onFailure(error);
  }

  /** Keeps what the core remembers of the others' logs, so that an old copy is noticed after restarts, too. */
  #noteMemory(): void {
    this.#cancelMemory = this.#options.clock.after(MEMORY_PERIOD_MS, () => {
      this.#keepQuietly(() =>
        this.#memory.note(this.runner.node.remembered(), this.#membership.conf)
      );
      if (!this.#stopped) this.#noteMemory();
    });
  }

  /** On a full disk less is kept than could be; that is no reason to stop. */
  #keepQuietly(keep: () => void): void {
    try {
      keep();
    } catch (error) {
      this.#options.logger.log("debug", `not kept: ${messageOf(error)}`);
    }
  }

  /** The leader's part of this manager, while it leads. */
  get leaderWork(): LeaderWork | undefined {
    return this.runner.leading ? this.#leaderWork : undefined;
  }

  get external(): ExternalCa {
    return this.#options.external;
  }

  get nodeId(): string {
    return this.#options.nodeId;
  }

  confState(): ConfState {
    return this.#membership.conf;
  }

  /** The members as far as this node can tell; who of them can be reached is known better by {@link groupView}. */
  members(): Member[] {
    return this.#membership.members();
  }

  /** What this manager itself knows of the group. */
  ownView(): GroupView {
    return {
      index: this.runner.applied,
      leading: this.runner.leading,
      members: this.members(),
      silentNodes: this.leaderWork?.silentNodes ?? [],
    };
  }

  /** What the leader knows of the group; this manager where nobody leads. */
  groupView(): Promise<GroupView> {
    return this.#group.view();
  }

  addressOf(nodeId: string): string | undefined {
    return this.#membership.addressOf(nodeId);
  }

  noLeaderSentence(): string {
    return this.#membership.noLeaderSentence();
  }

  /** Reads the store linearizably, or as this node knows it when no majority answers. */
  async read<T>(read: (view: View) => T): Promise<{ value: T; stale: boolean }> {
    let stale = false;
    try {
      await this.runner.readBarrier(READ_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof FleetError && error.kind === "unavailable")) throw error;
      stale = true;
    }
    return { value: stale ? this.#readStale(read) : read(this.store), stale };
  }

  /** What is not there may have been made since: the refusal says so, too. */
  #readStale<T>(read: (view: View) => T): T {
    try {
      return read(this.store);
    } catch (error) {
      if (!(error instanceof FleetError)) throw error;
      throw new FleetError(
        error.kind,
        `${error.message} as far as this manager knows: no majority of the managers answers`,
      );
    }
  }

  /** Performs a control method here when this node leads, on the leader otherwise. */
  async call<M extends ControlMethod>(
    method: M,
    args: ControlArgs<M>,
    signal?: AbortSignal,
    actor?: string,
  ): Promise<ControlResult<M>> {
    const trace = this.#options.tracer?.current();
    const here = () => this.performHere(method, args, signal, { actor, trace });
    const body = { method, args, actor, via: this.nodeId, trace };
    return await this.onLeader("control.call", body, here, signal) as ControlResult<M>;
  }

  async performHere<M extends ControlMethod>(
    method: M,
    args: ControlArgs<M>,
    signal?: AbortSignal,
    { actor, via = this.nodeId, trace }: Caller = {},
  ): Promise<ControlResult<M>> {
    // Where nobody traces the request, its parts would be traces of their own.
    const tracer = trace === undefined ? undefined : this.#options.tracer;
    return await traced(tracer, `control ${method}`, { parent: trace }, async (span) => {
      const asker = actor === undefined ? undefined : { actor, via };
      return await this.#perform(method, args, asker, { signal, trace: span?.context });
    });
  }

  async #perform<M extends ControlMethod>(
    method: M,
    args: ControlArgs<M>,
    asker: Asker | undefined,
    { signal, trace }: { signal: AbortSignal | undefined; trace: string | undefined },
  ): Promise<ControlResult<M>> {
    const prepared = method === "cluster.update"
      ? await this.#prepareRootChange(args as ControlArgs<"cluster.update">)
      : undefined;
    const more = { ...(prepared && { prepared }), ...(trace !== undefined && { trace }) };
    const extended = (context: ControlContext): ControlContext => ({ ...context, ...more });
    const { term } = this.runner.node;
    try {
      return await performAsUser((run) => this.write((context) => run(extended(context)), signal), {
        method,
        args,
        asker,
      });
    } catch (error) {
      if (NOTHING_DECIDED.has(kindOf(error))) throw error;
      await this.#confirmLead(term);
      throw error;
    }
  }

  /**
   * A refusal goes through no log, so it might rest on what a leader believes that was replaced without knowing:
   * a majority has to say that it still led. @throws FleetError unavailable
   */
  async #confirmLead(term: number): Promise<void> {
    await this.runner.readBarrier(READ_TIMEOUT_MS);
    const { node } = this.runner;
    if (node.role === "leader" && node.term === term) return;
    throw new FleetError("unavailable", "this manager lost the lead meanwhile; try again");
  }

  #prepareRootChange(args: ControlArgs<"cluster.update">) {
    const { trust, external, clock } = this.#options;
    return prepareRootChange(this.store, args, { trust, external, nowMs: clock.now() });
  }

  /** Has a call done by the leader: by `here` when that is this manager. */
  onLeader<T>(
    route: string,
    body: unknown,
    here: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | unknown> {
    return this.#leaderCalls.call(route, body, here, signal);
  }

  /** One transaction on this leader. */
  async write<T>(run: (context: ControlContext) => T, signal?: AbortSignal): Promise<T> {
    if (!this.runner.leading) throw new FleetError("unavailable", this.noLeaderSentence());
    await this.#ready;
    return await this.writer.write((tx) => run(this.#context(tx)), signal);
  }

  #context(tx: Transaction): ControlContext {
    const { random, trust } = this.#options;
    return {
      tx,
      nowMs: tx.nowMs,
      newId: () => newId(random),
      randomBytes: (n) => random.bytes(n),
      roots: trust,
      managers: this.members(),
    };
  }

  #leaderAddress(): { nodeId: string; addr: string } | "here" | undefined {
    if (this.runner.leading) return "here";
    const nodeId = this.runner.leader;
    if (nodeId === "" || nodeId === this.#options.nodeId) return undefined;
    const addr = this.addressOf(nodeId);
    return addr ? { nodeId, addr } : undefined;
  }

  async #untilLeading(): Promise<void> {
    for (let i = 0; i < 200 && !this.runner.leading; i++) await sleep(this.#options.clock, 10);
    if (!this.runner.leading) throw new FleetError("timeout", "the first manager was not elected");
    await this.#ready;
  }

  #onLeadership(leading: boolean): void {
    this.#leaderCalls.leaderChanged();
    void this.#leaderGroup?.stop();
    this.#leaderGroup = undefined;
    this.#leaderWork = undefined;
    if (leading && !this.#stopped) {
      // Nothing may be decided on a store that lacks entries of earlier terms.
      this.#ready = this.runner.readBarrier(READ_TIMEOUT_MS);
      this.#ready.then(() => this.#startLeaderWork(), () => {});
    }
  }

  #startLeaderWork(): void {
    if (!this.runner.leading || this.#stopped || this.#leaderGroup) return;
    const { clock, logger, nodeId } = this.#options;
    const group = new Group();
    const work = this.#options.createLeaderWork(this);
    this.#leaderGroup = group;
    this.#leaderWork = work;
    group.go("role manager", (signal) =>
      runRoleManager({
        nodeId,
        view: this.store,
        writer: this.writer,
        runner: this.runner,
        clock,
        logger,
        reachable: () => this.members(),
      }, signal));
    work.start(group);
    group.wait().catch((error: unknown) => this.#leaderWorkFailed(group, error));
  }

  /** A leader whose work died hands over; when nobody can take over, it starts its work again. */
  #leaderWorkFailed(group: Group, error: unknown): void {
    if (this.#leaderGroup !== group || this.#stopped) return;
    this.#options.logger.log("error", "the leader's work failed; handing over", {
      error: messageOf(error),
    });
    this.#leaderGroup = undefined;
    this.#leaderWork = undefined;
    const heir = this.members().find((member) =>
      member.reachable && member.nodeId !== this.#options.nodeId &&
      this.#membership.conf.voters.includes(member.nodeId)
    );
    if (heir) this.runner.transferLeadership(heir.nodeId);
    this.#options.clock.after(LEADER_WORK_RETRY_MS, () => this.#startLeaderWork());
  }

  #onMembers(conf: ConfState): void {
    const wasMember = [...this.#membership.conf.voters, ...this.#membership.conf.learners].includes(
      this.#options.nodeId,
    );
    this.#membership.conf = conf;
    this.#updatePeers();
    const isMember = [...conf.voters, ...conf.learners].includes(this.#options.nodeId);
    if (wasMember && !isMember) this.#options.onRemoved();
  }

  #updatePeers(): void {
    this.#transport.setPeers(this.#membership.peers());
  }

  /** Periods are the cluster's, so that all managers count alike; the tick itself is this node's flag. */
  #takeTiming(): void {
    const raft = clusterOf(this.store)?.Spec.Raft;
    this.runner.node.setTiming(
      raft?.HeartbeatTick || CLUSTER_DEFAULTS.heartbeatTick,
      raft?.ElectionTick || CLUSTER_DEFAULTS.electionTick,
    );
  }

  #announceBlocked(): void {
    this.#options.onBlocked(Object.keys(clusterOf(this.store)?.BlockedNodes ?? {}));
  }
}
