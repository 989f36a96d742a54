import { randomInt, SeededRandom } from "../../../src/base/random.ts";

/** What can go wrong while the first part of a run lasts. */
export const CONTROL_FAULTS = [
  "leader crash",
  "leader change",
  "agent restart",
  "power loss",
  "engine restart",
  "partition",
  "program ends",
  "drain",
  "labels",
] as const;
export type ControlFault = typeof CONTROL_FAULTS[number];

export interface ControlOptions {
  readonly seed: number;
  readonly managers: number;
  readonly nodes: number;
  readonly services: number;
  /** Time in which faults and changes happen. */
  readonly stormMs: number;
  readonly faultEveryMs: number;
  readonly changeEveryMs: number;
  readonly faults: readonly ControlFault[];
}

/** The options of a seed. */
export function drawControlOptions(seed: number, nodes = 50): ControlOptions {
  const random = new SeededRandom(seed);
  const between = (low: number, high: number) => low + randomInt(random, high - low + 1);
  return {
    seed,
    managers: random.float() < 0.5 ? 3 : 5,
    nodes,
    services: between(2, 5),
    stormMs: between(20, 50) * 1000,
    faultEveryMs: between(1, 6) * 1000,
    changeEveryMs: between(2, 8) * 1000,
    faults: CONTROL_FAULTS.filter(() => random.float() < 0.7),
  };
}
