import { randomInt } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { between, chance, logBetween, pick, sample } from "./draw.ts";
import type { SimMember } from "./member.ts";
import type { SimNetwork } from "./network.ts";
import type { Fault, Options } from "./options.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** Virtual milliseconds until the other side of a closed connection knows. */
const CLOSE_MS = 10;
/** A coup lasts this many virtual milliseconds at most. */
const COUP_MS = 40_000;
/** Virtual milliseconds between two looks at who leads. */
const COUP_WATCH_MS = 10;
/** What a hanging disk takes for one sync, at most. */
const SLOW_SYNC_MS = 3_000;

/** What the faults act upon. */
export interface Targets {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly options: Options;
  readonly network: SimNetwork;
  members(): readonly SimMember[];
  leader(): SimMember | undefined;
  /** Membership churn. */
  churn(): void;
  /** A member comes back with the disk of some time ago. */
  restoreOldImage(): void;
}

/** Does something bad every now and then until it is stopped, and repairs what it broke. */
export class Nemesis {
  readonly #world: Targets;
  #stopped = false;
  /** How often each fault was done. */
  readonly counts = new Map<Fault, number>();

  constructor(world: Targets) {
    this.#world = world;
  }

  start(): void {
    if (this.#world.options.faults.length > 0) this.#next();
  }

  stop(): void {
    this.#stopped = true;
  }

  #next(): void {
    const { time, random, options } = this.#world;
    time.after(between(random, 1, 2 * options.faultEveryMs), () => {
      if (this.#stopped) return;
      const fault = pick(random, options.faults);
      this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
      this.#actions[fault]();
      this.#next();
    });
  }

  /** Milliseconds that a fault lasts. */
  #duration(): number {
    return logBetween(this.#world.random, 100, 10_000);
  }

  /** Any member, the leader more often than its share: most trouble begins there. */
  #victim(): SimMember {
    const { random } = this.#world;
    const leader = this.#world.leader();
    return leader && chance(random, 0.4) ? leader : pick(random, this.#world.members());
  }

  readonly #actions: Readonly<Record<Fault, () => void>> = {
    "crash": () => this.#crash(this.#victim(), false),
    "power-loss": () => this.#crash(this.#victim(), true),
    "blackout": () => {
      for (const member of this.#world.members()) this.#crash(member, true);
    },
    "pause": () => this.#victim().pause(this.#duration()),
    "partition": () => this.#partition(true),
    "one-way": () => this.#partition(false),
    "clog": () => {
      const { network, random } = this.#world;
      const [left, right] = this.#split();
      this.#later(network.clog(links(left, right), logBetween(random, 50, 2_000)));
    },
    "slow-disk": () => {
      const { random, options } = this.#world;
      const { disk } = this.#victim();
      disk.syncMs = logBetween(random, options.syncMs, SLOW_SYNC_MS);
      this.#later(() => disk.syncMs = options.syncMs);
    },
    "failing-sync": () => {
      this.#victim().disk.failNextSync = true;
    },
    "full-disk": () => {
      const { disk } = this.#victim();
      disk.full = true;
      this.#later(() => disk.full = false);
    },
    "flapping": () => {
      const [a, b] = sample(this.#world.random, this.#world.members(), 2);
      if (a && b) a.connectionClosed(b.id);
    },
    "transfer": () => {
      this.#victim().transfer(pick(this.#world.random, this.#world.members()).id);
    },
    "coup": () => this.#coup(),
    "churn": () => this.#world.churn(),
    "old-image": () => this.#world.restoreOldImage(),
  };

  #partition(bothWays: boolean): void {
    const { network, random } = this.#world;
    const [left, right] = this.#split();
    const broken = links(left, right);
    if (bothWays) broken.push(...links(right, left));
    this.#later(network.cut(broken));
    // The systems in between may have closed the connections.
    if (chance(random, 0.5)) return;
    for (const [from, to] of broken) this.#member(to)?.connectionClosed(from);
  }

  #member(id: string): SimMember | undefined {
    return this.#world.members().find((member) => member.id === id);
  }

  /**
   * For a while no leader lives long: soon after its election it crashes and stays down until the others would
   * have no majority, then any of those that are down comes back. That is how entries of many terms come to
   * lie side by side (Figure 8).
   */
  #coup(): void {
    const { time, random } = this.#world;
    const end = time.now() + logBetween(random, 1_000, COUP_MS);
    const down: SimMember[] = [];
    let term = 0;
    const watch = () => {
      if (this.#stopped) return;
      if (time.now() > end) {
        for (const member of down) member.start();
        return;
      }
      const leader = this.#world.leader();
      if (leader && leader.node!.term > term) {
        term = leader.node!.term;
        time.after(logBetween(random, 1, 1_000), () => {
          if (this.#stopped || leader.node?.role !== "leader") return;
          crash(this.#world, leader, chance(random, 0.3));
          down.push(leader);
        });
      }
      const voters = this.#world.members();
      const up = voters.filter((member) => member.node !== undefined).length;
      if (up <= voters.length >> 1 && down.length > 0) {
        down.splice(randomInt(random, down.length), 1)[0]!.start();
      }
      time.after(COUP_WATCH_MS, watch);
    };
    watch();
  }

  #later(repair: () => void): void {
    this.#world.time.after(this.#duration(), repair);
  }

  #split(): [SimMember[], SimMember[]] {
    const { random } = this.#world;
    const members = this.#world.members();
    const size = between(random, 1, Math.max(1, members.length - 1));
    const left = chance(random, 0.3) ? [this.#victim()] : sample(random, members, size);
    return [left, members.filter((member) => !left.includes(member))];
  }

  #crash(member: SimMember, powerLoss: boolean): void {
    crash(this.#world, member, powerLoss);
    this.#later(() => {
      if (!this.#stopped) member.start();
    });
  }
}

function links(from: readonly SimMember[], to: readonly SimMember[]): [string, string][] {
  return from.flatMap((a) => to.map((b): [string, string] => [a.id, b.id]));
}

/** Ends a process; whoever was connected to it may notice. */
export function crash(
  world: Pick<Targets, "time" | "random" | "members">,
  member: SimMember,
  powerLoss: boolean,
): void {
  const wasUp = member.node !== undefined;
  member.crash(powerLoss);
  if (!wasUp) return;
  for (const other of world.members()) {
    // With the power gone nobody closes connections.
    if (other === member || powerLoss || chance(world.random, 0.2)) continue;
    world.time.after(between(world.random, 1, CLOSE_MS), () => other.connectionClosed(member.id));
  }
}
