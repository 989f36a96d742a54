import type { ServiceSpec } from "./service_spec.ts";

export const CONDITIONS = [
  "service_started",
  "service_healthy",
  "service_completed_successfully",
] as const;
export type Condition = typeof CONDITIONS[number];

/** A service that another one's tasks wait for. */
export interface ServiceDependency {
  readonly name: string;
  readonly condition: Condition;
}

/**
 * On a service: whom its tasks wait for, as `name=condition` with commas between. A label, because labels
 * survive updates by clients that know nothing of it.
 */
export const DEPENDS_LABEL = "io.fleet.depends-on";

export function dependenciesText(list: readonly ServiceDependency[]): string {
  return list.map(({ name, condition }) => `${name}=${condition}`).sort().join(",");
}

/** Dependencies of a service. What is no dependency in the label is passed over: anybody may write it. */
export function dependenciesOf(spec: ServiceSpec): ServiceDependency[] {
  const text = spec.Labels?.[DEPENDS_LABEL] ?? "";
  if (text === "") return [];
  return text.split(",").flatMap((pair) => {
    const [name = "", word = ""] = pair.split("=");
    const condition = CONDITIONS.find((each) => each === word);
    return name !== "" && condition ? [{ name, condition }] : [];
  });
}
