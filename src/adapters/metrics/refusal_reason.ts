/** What the scheduler's sentences begin their reasons with, and the short word of each. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/memory|cpu/i, "resources"],
  [/constraint/i, "constraints"],
  [/platform|architecture/i, "platform"],
  [/port/i, "host-port"],
  [/plugin|driver/i, "plugin"],
  [/max replicas|replicas per node/i, "max-replicas"],
  [/not available|drain|pause|down/i, "not-available"],
  [/path|mount/i, "mount"],
  [/network|address/i, "network"],
];

/** A sentence of the scheduler as one of a few words, for a label. */
export function refusalReason(sentence: string): string {
  return REASONS.find(([pattern]) => pattern.test(sentence))?.[1] ?? "other";
}
