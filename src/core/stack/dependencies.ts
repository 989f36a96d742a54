import type { ServiceEntry } from "./stack_file.ts";

/**
 * On a service: which services its tasks wait for, as `name=condition` with commas between, sorted.
 * A label, because labels survive updates by clients that know nothing of it.
 */
export const DEPENDS_LABEL = "io.fleet.depends-on";

export function dependencyLabel(entry: ServiceEntry, stack: string): Record<string, string> {
  const list = Object.entries(entry.depends_on ?? {})
    .map(([name, { condition }]) => `${stack}_${name}=${condition}`).sort();
  return list.length > 0 ? { [DEPENDS_LABEL]: list.join(",") } : {};
}
