/** Removes every change of the kind when given to an update. */
const RESET = "RESET";
const ALL = "ALL";

/** `net_admin` and `CAP_NET_ADMIN` as the latter. */
export function normaliseCapability(name: string): string {
  const upper = name.trim().toUpperCase();
  if (upper === ALL || upper === RESET || upper.startsWith("CAP_")) return upper;
  return `CAP_${upper}`;
}

export interface Capabilities {
  readonly add: readonly string[];
  readonly drop: readonly string[];
}

/** The two lists of a new service: sorted, `ALL` alone, and what is added is not dropped. */
export function createCapabilities(
  add: readonly string[] = [],
  drop: readonly string[] = [],
): Capabilities {
  const added = new Set(add.map(normaliseCapability));
  const dropped = new Set(drop.map(normaliseCapability));
  added.delete(RESET);
  dropped.delete(RESET);
  for (const name of added) dropped.delete(name);
  return { add: sorted(added), drop: sorted(dropped) };
}

/**
 * The lists after an update: `--cap-add X` first takes X out of the dropped ones, and the other way
 * round; RESET forgets what was there.
 */
export function updateCapabilities(
  now: Capabilities,
  add: readonly string[] = [],
  drop: readonly string[] = [],
): Capabilities {
  const toAdd = new Set(add.map(normaliseCapability));
  const toDrop = new Set(drop.map(normaliseCapability));
  const added = new Set(toAdd.delete(RESET) ? [] : now.add.map(normaliseCapability));
  const dropped = new Set(toDrop.delete(RESET) ? [] : now.drop.map(normaliseCapability));
  for (const name of toDrop) if (!added.delete(name)) dropped.add(name);
  for (const name of toAdd) if (!dropped.delete(name)) added.add(name);
  return { add: sorted(added), drop: sorted(dropped) };
}

function sorted(names: ReadonlySet<string>): string[] {
  return names.has(ALL) ? [ALL] : [...names].sort();
}
