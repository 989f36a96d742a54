import { SeededRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { between, chance, logBetween, pick } from "./draw.ts";

/** What can go wrong. Each run draws which of these are on (one fault may hide another). */
export const FAULTS = [
  "crash",
  "power-loss",
  "blackout",
  "pause",
  "partition",
  "one-way",
  "clog",
  "slow-disk",
  "failing-sync",
  "full-disk",
  "flapping",
  "transfer",
  "coup",
  "churn",
] as const;
/**
 * `old-image` is never drawn: a member that loses acknowledged data breaks a promise on which Raft rests. It
 * has a test of its own.
 */
export type Fault = typeof FAULTS[number] | "old-image";

/** Everything that a seed decides before the run begins. */
export interface Options {
  readonly seed: number;
  readonly members: number;
  readonly clients: number;
  /** Milliseconds of virtual time with faults; healing and its check come after it. */
  readonly durationMs: number;
  readonly faults: readonly Fault[];
  /** Mean milliseconds between two faults. */
  readonly faultEveryMs: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly loss: number;
  readonly duplication: number;
  /** Messages of one link keep their order, as on a TCP connection. */
  readonly ordered: boolean;
  /** Messages pass through the codec. */
  readonly wire: boolean;
  readonly syncMs: number;
  readonly tickSkew: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly maxInflightMessages: number;
  readonly maxMessageBytes: number;
  readonly maxUncommittedBytes: number;
  readonly maxCommittedBytes: number;
  /** Applied entries between two snapshots, and entries kept behind one. */
  readonly snapshotEvery: number;
  readonly keepEntries: number;
  /** Mean milliseconds between two operations of one client. */
  readonly thinkMs: number;
}

/** Virtual milliseconds of a tick. */
export const TICK_MS = 100;

export function drawOptions(seed: number): Options {
  const random: Random = new SeededRandom(seed);
  // Odd sizes are what people run; 1 and 2 have their own corners.
  const members = pick(random, [1, 2, 3, 3, 3, 4, 5, 5, 6, 7]);
  const calm = chance(random, 0.1);
  const electionTicks = between(random, 5, 12);
  const minDelayMs = logBetween(random, 1, 20);
  const mixed: Options = {
    seed,
    members,
    clients: between(random, 1, 6),
    durationMs: logBetween(random, 10_000, 200_000),
    faults: calm ? [] : FAULTS.filter(() => chance(random, 0.5)),
    faultEveryMs: logBetween(random, 300, 5_000),
    minDelayMs,
    maxDelayMs: minDelayMs + logBetween(random, 1, 200),
    loss: chance(random, 0.5) ? 0 : random.float() * 0.15,
    duplication: chance(random, 0.5) ? 0 : random.float() * 0.15,
    ordered: chance(random, 0.4),
    wire: chance(random, 0.2),
    syncMs: logBetween(random, 1, 30),
    tickSkew: chance(random, 0.7) ? 0 : random.float() * 0.25,
    electionTicks,
    heartbeatTicks: chance(random, 0.8) ? 1 : between(random, 1, Math.floor(electionTicks / 4)),
    maxInflightMessages: chance(random, 0.3) ? 1 : logBetween(random, 1, 256),
    maxMessageBytes: chance(random, 0.3) ? 1 : logBetween(random, 1, 100_000),
    maxUncommittedBytes: logBetween(random, 100, 1_000_000),
    maxCommittedBytes: logBetween(random, 1, 1_000_000),
    snapshotEvery: logBetween(random, 5, 500),
    keepEntries: logBetween(random, 1, 50) - 1,
    thinkMs: logBetween(random, 20, 400),
  };
  const roll = random.float();
  if (roll < 0.15) return { ...mixed, ...drawCoup(random) };
  if (roll < 0.3) return { ...mixed, ...drawChurn(random) };
  if (roll < 0.4) return { ...mixed, ...drawDivided(random) };
  return mixed;
}

/** Entries travel one by one and slowly while leaders come and go: where counting replicas goes wrong. */
function drawCoup(random: Random): Partial<Options> {
  const minDelayMs = logBetween(random, 1, 50);
  return {
    members: pick(random, [3, 4, 5, 5, 5]),
    clients: between(random, 2, 6),
    faults: ["coup"],
    faultEveryMs: 2_000,
    minDelayMs,
    maxDelayMs: minDelayMs + logBetween(random, 10, 300),
    electionTicks: 5,
    maxInflightMessages: 1,
    maxMessageBytes: 1,
    thinkMs: logBetween(random, 10, 100),
  };
}

/** The group changes in a hurry while parts of it cannot hear one another. */
function drawChurn(random: Random): Partial<Options> {
  return {
    members: between(random, 3, 6),
    faults: ["churn", "partition", pick(random, ["one-way", "pause", "coup", "power-loss"])],
    faultEveryMs: logBetween(random, 200, 1_000),
    maxDelayMs: between(random, 20, 60),
    minDelayMs: 1,
    loss: 0,
    electionTicks: between(random, 5, 8),
  };
}

/** Many read while leaders are cut off from their majority: where old leaders give old answers. */
function drawDivided(random: Random): Partial<Options> {
  return {
    members: pick(random, [3, 5]),
    clients: 6,
    faults: ["partition", pick(random, ["one-way", "pause"])],
    faultEveryMs: logBetween(random, 1_000, 4_000),
    maxDelayMs: between(random, 2, 20),
    minDelayMs: 1,
    loss: 0,
    electionTicks: between(random, 10, 12),
    thinkMs: logBetween(random, 10, 50),
  };
}

/** One line that says what was drawn. */
export function describe(options: Options): string {
  return Object.entries(options)
    .filter(([key]) => key !== "seed")
    .map(([key, value]) => `${key}=${show(value)}`).join(" ");
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.join(",") || "none";
  return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : String(value);
}
