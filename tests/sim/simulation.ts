import { SeededRandom } from "../../src/base/random.ts";
import type { MemoryStorage } from "../../src/core/raft/memory_storage.ts";
import type { ConfChange, RaftId } from "../../src/core/raft/types.ts";
import { Workload } from "./clients.ts";
import { between, chance, pick } from "./draw.ts";
import { crash, Nemesis } from "./faults.ts";
import { checkHistory } from "./linearizability.ts";
import { SimMember } from "./member.ts";
import type { Surroundings } from "./member.ts";
import { CORRECT } from "./mutations.ts";
import type { Mutation } from "./mutations.ts";
import { SimNetwork } from "./network.ts";
import { formatHistory, Observer, Violation } from "./observer.ts";
import type { Fault, Options } from "./options.ts";
import { TICK_MS } from "./options.ts";
import { VirtualTime } from "./virtual_time.ts";

/** Virtual milliseconds that a healed cluster may take until everybody has everything. */
const HEAL_BOUND_MS = 60_000;
/** Virtual milliseconds that clients get to learn what became of their last operations. */
const DRAIN_MS = 3_000;
/** Virtual milliseconds after which a removed member's process is gone. */
const RETIRE_MS = 2_000;
/** Virtual milliseconds between two disk images, and how old one is that is restored. */
const IMAGE_MS = 500;
const MIN_IMAGE_AGE_MS = 1_500;
/** Changes that an impatient operator asks for at once, at most. */
const CHURN_BURST = 4;
/** The largest group that churn makes. */
const MAX_MEMBERS = 7;
/** A process whose disk failed is started again after so many virtual milliseconds. */
const RESTART_MS = 1_000;

export interface Result {
  readonly options: Options;
  /** Undefined when all is well; otherwise what a checker said, with what it knows. */
  readonly failure: string | undefined;
  readonly virtualMs: number;
  readonly operations: number;
  readonly committed: number;
  readonly leaderChanges: number;
  readonly messages: number;
  readonly lost: number;
  readonly faults: ReadonlyMap<Fault, number>;
  /** Keys whose history had too many possible orders. */
  readonly undecided: number;
  /** Virtual milliseconds from healing until all had everything. */
  readonly healMs: number;
  /** Members that found out that they had lost acknowledged data. */
  readonly regressed: number;
  readonly digest: number;
}

/** Plays one seed. Never throws: what goes wrong is in the result. */
export function simulate(options: Options, mutation: Mutation = CORRECT): Result {
  return new Simulation(options, mutation).run();
}

class Simulation {
  readonly #options: Options;
  readonly #time = new VirtualTime();
  readonly #random: SeededRandom;
  readonly #network: SimNetwork;
  readonly #observer = new Observer();
  readonly #workload: Workload;
  readonly #nemesis: Nemesis;
  readonly #members = new Map<RaftId, SimMember>();
  readonly #surroundings: Surroundings;
  /** Ids of nodes that left for good. */
  readonly #retired: RaftId[] = [];
  #undecided = 0;
  #healMs = 0;
  #nextId = 1;
  #healing = false;

  constructor(options: Options, mutation: Mutation) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed ^ 0x5bd1e995);
    const random = this.#random;
    const time = this.#time;
    this.#network = new SimNetwork(time, random, options, (id) => {
      const member = this.#members.get(id);
      return member?.node ? member : undefined;
    });
    this.#network.onDelivery = (m) => this.#observer.message(m);
    this.#surroundings = {
      time,
      random,
      options,
      network: this.#network,
      observer: this.#observer,
      mutation,
      onDiskFailure: (id) => this.#diskFailed(id),
    };
    const members = () => [...this.#members.values()];
    this.#workload = new Workload(time, random, options, members);
    this.#nemesis = new Nemesis({
      time,
      random,
      options,
      network: this.#network,
      members,
      leader: () => this.#leader(),
      churn: () => {
        // Mostly in a hurry: a correct leader refuses all but the first.
        for (let i = between(this.#random, 1, CHURN_BURST); i > 0; i--) this.#churn();
      },
      restoreOldImage: () => this.#restoreOldImage(),
    });
  }

  run(): Result {
    const { options } = this;
    let failure: string | undefined;
    try {
      this.#play();
    } catch (error) {
      failure = error instanceof Violation
        ? error.message
        : error instanceof Error
        ? error.stack ?? error.message
        : String(error);
    }
    return {
      options,
      failure,
      virtualMs: this.#time.now(),
      operations: this.#workload.history.length,
      committed: this.#observer.committed,
      leaderChanges: this.#observer.leaderChanges,
      messages: this.#network.delivered,
      lost: this.#network.lost,
      faults: this.#nemesis.counts,
      undecided: this.#undecided,
      healMs: this.#healMs,
      regressed: [...this.#members.values()].filter((m) => m.node?.status().regressed).length,
      digest: this.#observer.digest,
    };
  }

  get options(): Options {
    return this.#options;
  }

  #play(): void {
    const founders = Array.from({ length: this.#options.members }, () => `m${this.#nextId++}`);
    for (const id of founders) this.#add(id, founders).start();
    this.#workload.start();
    this.#nemesis.start();
    if (this.#options.faults.includes("old-image")) this.#takeImages();
    this.#time.runUntil(this.#options.durationMs);
    this.#heal();
    this.#time.runUntil(this.#time.now() + DRAIN_MS);
    this.#check();
  }

  #add(id: RaftId, founders: readonly RaftId[] = [], joinedIndex = 0): SimMember {
    const member = new SimMember(id, founders, this.#surroundings, joinedIndex);
    this.#members.set(id, member);
    return member;
  }

  #diskFailed(id: RaftId): void {
    const member = this.#members.get(id);
    if (!member) return;
    const members = () => [...this.#members.values()];
    // Nobody knows what the disk holds now.
    crash({ time: this.#time, random: this.#random, members }, member, true);
    this.#time.after(RESTART_MS, () => member.start());
  }

  #leader(): SimMember | undefined {
    let leader: SimMember | undefined;
    for (const member of this.#members.values()) {
      if (member.node?.role !== "leader") continue;
      if (leader === undefined || member.node.term > leader.node!.term) leader = member;
    }
    return leader;
  }

  /** One step of an operator who changes the group: promote, add or remove. */
  #churn(): void {
    const leader = this.#leader();
    if (!leader) return;
    const { voters, learners } = leader.conf;
    const roll = this.#random.float();
    if (learners.length > 0 && roll < 0.5) {
      leader.proposeConfChange({ type: "promote", id: pick(this.#random, learners) });
    } else if (voters.length + learners.length < MAX_MEMBERS && roll < 0.75) {
      // A node that left may come again, under its old id and with an empty disk.
      const again = chance(this.#random, 0.5) ? this.#retired.pop() : undefined;
      const id = again ?? `m${this.#nextId++}`;
      const index = leader.proposeConfChange({ type: "add-learner", id });
      if (index !== undefined) this.#add(id, [], index).start();
    } else if (voters.length > 1) {
      const all = [...voters, ...learners];
      const change: ConfChange = { type: "remove", id: pick(this.#random, all) };
      if (leader.proposeConfChange(change) !== undefined) this.#retireLater(change.id);
    }
  }

  /** Once the removal is in force the process goes away, as a node that left the cluster does. */
  #retireLater(id: RaftId): void {
    this.#time.after(RETIRE_MS, () => {
      const member = this.#members.get(id);
      if (!member || this.#healing) return;
      const removed = this.#observer.removed(id, member.joinedIndex);
      // Many linger for long, ignorant of their removal, and may do no harm.
      if (removed && chance(this.#random, 0.3)) {
        member.crash(true);
        this.#members.delete(id);
        this.#network.bury(id);
        this.#retired.push(id);
      } else this.#retireLater(id);
    });
  }

  readonly #images: { at: number; committed: number; disks: Map<RaftId, MemoryStorage> }[] = [];
  /** Members with an old disk; `lost` when it lacks entries that the member acknowledged long ago. */
  readonly #restored = new Map<RaftId, { lost: boolean }>();

  #takeImages(): void {
    const disks = new Map<RaftId, MemoryStorage>();
    for (const [id, { disk }] of this.#members) disks.set(id, disk.load());
    this.#images.push({ at: this.#time.now(), committed: this.#observer.committed, disks });
    this.#time.after(IMAGE_MS, () => this.#takeImages());
  }

  /** Once per run: a follower comes back with an old disk, and in half of the runs the leader dies just then. */
  #restoreOldImage(): void {
    const now = this.#time.now();
    const old = this.#images.filter((image) => image.at < now - MIN_IMAGE_AGE_MS);
    const leader = this.#leader();
    const followers = [...this.#members.values()].filter((member) => member !== leader);
    const member = pick(this.#random, followers);
    if (this.#restored.size > 0 || old.length === 0 || !leader) return;
    const image = pick(this.#random, old);
    const disk = image.disks.get(member.id)!;
    // What everybody has heard of by now, whoever is gone.
    const known = old.at(-1)!;
    const lost =
      disk.lastIndex() < Math.min(known.committed, known.disks.get(member.id)!.lastIndex());
    this.#restored.set(member.id, { lost });
    member.crash(true);
    member.disk.restore(disk);
    member.start();
    if (!chance(this.#random, 0.5)) return;
    leader.crash(true);
    this.#time.after(between(this.#random, 1, 10_000), () => leader.start());
  }

  /** No more faults; everything runs again; then everybody must come to the same state in bounded time. */
  #heal(): void {
    this.#healing = true;
    this.#nemesis.stop();
    this.#workload.stop();
    this.#network.heal();
    for (const member of this.#members.values()) {
      member.disk.full = false;
      member.disk.failNextSync = false;
      member.disk.syncMs = this.#options.syncMs;
      member.start();
      member.resume();
    }
    const begin = this.#time.now();
    let marker: { done: boolean } | undefined;
    // A write of the healed cluster's own proves that it works, and commits what came before.
    const attempt = () => {
      const leader = this.#leader();
      if (!leader || marker?.done) return;
      const mine = { done: false };
      marker = mine;
      const op = { kind: "write", key: "healed", value: "yes" } as const;
      leader.propose(0, op, (outcome) => mine.done ||= outcome.kind === "ok");
    };
    while (this.#time.now() < begin + HEAL_BOUND_MS) {
      if (!marker?.done) attempt();
      this.#time.runUntil(this.#time.now() + 5 * TICK_MS);
      if (marker?.done && this.#current().every((m) => m.applied === this.#observer.committed)) {
        this.#healMs = this.#time.now() - begin;
        return;
      }
    }
    throw new Violation(`not healed within ${HEAL_BOUND_MS} ms:\n${this.#report()}`);
  }

  /** The members of the group, as the last leader knows it. */
  #current(): SimMember[] {
    const leader = this.#leader();
    if (!leader) return [...this.#members.values()];
    const { voters, learners } = leader.conf;
    return [...voters, ...learners].flatMap((id) => this.#members.get(id) ?? [])
      .filter((member) => member.node?.status().regressed === undefined);
  }

  #report(): string {
    return [...this.#members.values()].map((member) => {
      const s = member.node?.status();
      return s
        ? `  ${s.id}: ${s.role} term=${s.term} leader=${s.leader} commit=${s.commit} applied=${s.applied} ` +
          `last=${s.lastIndex} voters=${s.conf.voters} learners=${s.conf.learners}` +
          `${s.regressed ? " regressed" : ""}`
        : `  ${member.id}: down`;
    }).join("\n");
  }

  #check(): void {
    this.#observer.agreed(this.#current());
    for (const member of this.#members.values()) {
      const regressed = member.node?.status().regressed !== undefined;
      const restored = this.#restored.get(member.id);
      if (restored?.lost && !regressed) {
        throw new Violation(`${member.id} lost acknowledged data and nobody noticed`);
      }
      if (regressed && !restored) {
        throw new Violation(`${member.id} believes that it lost acknowledged data`);
      }
    }
    this.#observer.acknowledged(this.#workload.acknowledged, this.#workload.failed);
    const verdict = checkHistory(this.#workload.history);
    if (verdict.kind === "undecided") this.#undecided = verdict.keys.length;
    if (verdict.kind === "violation") {
      throw new Violation(
        `the history of ${verdict.key} is not linearizable:\n${formatHistory(verdict.events)}`,
      );
    }
  }
}
