import { modeOf, replicasOf } from "../../model/service.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import { endpointText, significant, trimmed } from "../../model/significant_spec.ts";

/** One field that a deployment would change; `before` and `after` are short texts, "" for nothing. */
export interface FieldChange {
  readonly field: string;
  readonly before: string;
  readonly after: string;
  /** Whether running tasks are replaced for it. */
  readonly replaces: boolean;
}

const MAX_TEXT = 80;

/**
 * What differs between the spec that runs and a new one, in the words of the API's fields. What means the
 * same is no difference. Both name their networks in the same way.
 */
export function specDifferences(now: ServiceSpec, next: ServiceSpec): FieldChange[] {
  const out: FieldChange[] = [];
  const [a, b] = [now.TaskTemplate ?? {}, next.TaskTemplate ?? {}];
  compare("", significant(a, true), significant(b, true), true, out);
  if (endpointText(now.EndpointSpec) !== endpointText(next.EndpointSpec)) {
    compare("EndpointSpec", trimmed(now.EndpointSpec), trimmed(next.EndpointSpec), true, out);
  }
  // New constraints move only the tasks whose node breaks them.
  compare("Placement.Constraints", list(a), list(b), false, out);
  compare("RestartPolicy", trimmed(a.RestartPolicy), trimmed(b.RestartPolicy), false, out);
  compare("Labels", now.Labels ?? {}, next.Labels ?? {}, false, out);
  compare("Mode", modeText(now), modeText(next), false, out);
  compare("UpdateConfig", trimmed(now.UpdateConfig), trimmed(next.UpdateConfig), false, out);
  compare("RollbackConfig", trimmed(now.RollbackConfig), trimmed(next.RollbackConfig), false, out);
  return out;
}

function list({ Placement }: NonNullable<ServiceSpec["TaskTemplate"]>): readonly string[] {
  return Placement?.Constraints ?? [];
}

function modeText(spec: ServiceSpec): string {
  const mode = modeOf(spec);
  if (mode === "replicated") return `${replicasOf(spec)} replicas`;
  return mode === "replicated-job"
    ? `job of ${spec.Mode?.ReplicatedJob?.TotalCompletions ?? 1}, ${
      spec.Mode?.ReplicatedJob?.MaxConcurrent ?? 1
    } at once`
    : mode;
}

/** Goes down to the innermost members that differ; lists are taken as a whole. */
function compare(
  field: string,
  before: unknown,
  after: unknown,
  replaces: boolean,
  out: FieldChange[],
): void {
  if (JSON.stringify(sorted(before)) === JSON.stringify(sorted(after))) return;
  if (isPlain(before) && isPlain(after)) {
    for (const key of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
      compare(field === "" ? key : `${field}.${key}`, before[key], after[key], replaces, out);
    }
    return;
  }
  out.push({
    // Labels are the service's where nothing else is said.
    field: field.replace(/^ContainerSpec\.(?!Labels)/, ""),
    before: text(before),
    after: text(after),
    replaces,
  });
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sorted(value: unknown): unknown {
  if (!isPlain(value)) return value ?? null;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => [k, sorted(v)]),
  );
}

function text(value: unknown): string {
  if (value === undefined || value === null) return "";
  const full = typeof value === "string" ? value : JSON.stringify(value);
  return full.length > MAX_TEXT ? `${full.slice(0, MAX_TEXT - 1)}…` : full;
}
