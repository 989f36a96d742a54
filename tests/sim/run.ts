import { CORRECT } from "./mutations.ts";
import type { Mutation } from "./mutations.ts";
import { describe, drawOptions } from "./options.ts";
import type { Fault } from "./options.ts";
import { simulate } from "./simulation.ts";
import type { Result } from "./simulation.ts";

/** Seeds between two looks at the event loop. */
const SEEDS_PER_TURN = 10;

export interface Summary {
  readonly passed: number;
  readonly failed: readonly Result[];
  readonly virtualMs: number;
  readonly operations: number;
  readonly committed: number;
  readonly leaderChanges: number;
  readonly messages: number;
  readonly lost: number;
  readonly undecided: number;
  readonly slowestHealMs: number;
  readonly faults: ReadonlyMap<Fault, number>;
}

export interface RunOptions {
  readonly mutation?: Mutation;
  /** These faults, instead of those that the seed draws. */
  readonly only?: readonly Fault[];
  /** Looked at after each seed: ends the run early. */
  readonly until?: (summary: Summary) => boolean;
}

/**
 * Plays `count` seeds from `from` on, and says every failing one with how to repeat it. `log` takes lines.
 */
export async function runSeeds(
  from: number,
  count: number,
  log: (line: string) => void,
  options: RunOptions = {},
): Promise<Summary> {
  const failed: Result[] = [];
  const faults = new Map<Fault, number>();
  let summary: Summary = {
    passed: 0,
    failed,
    virtualMs: 0,
    operations: 0,
    committed: 0,
    leaderChanges: 0,
    messages: 0,
    lost: 0,
    undecided: 0,
    slowestHealMs: 0,
    faults,
  };
  for (let seed = from; seed < from + count; seed++) {
    const drawn = drawOptions(seed);
    const result = simulate(
      options.only ? { ...drawn, faults: options.only } : drawn,
      options.mutation ?? CORRECT,
    );
    if (result.failure !== undefined) {
      failed.push(result);
      log(`seed ${seed} FAILED: ${result.failure}`);
      log(`  drawn: ${describe(result.options)}`);
      const only = options.only ? ` --only ${options.only}` : "";
      log(`  again: deno task sim --seed ${seed}${only}`);
    }
    for (const [fault, n] of result.faults) faults.set(fault, (faults.get(fault) ?? 0) + n);
    summary = {
      passed: summary.passed + (result.failure === undefined ? 1 : 0),
      failed,
      virtualMs: summary.virtualMs + result.virtualMs,
      operations: summary.operations + result.operations,
      committed: summary.committed + result.committed,
      leaderChanges: summary.leaderChanges + result.leaderChanges,
      messages: summary.messages + result.messages,
      lost: summary.lost + result.lost,
      undecided: summary.undecided + result.undecided,
      slowestHealMs: Math.max(summary.slowestHealMs, result.healMs),
      faults,
    };
    if (options.until?.(summary)) break;
    if (seed % SEEDS_PER_TURN === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return summary;
}
