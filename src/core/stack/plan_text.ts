import type { FieldChange } from "./differences.ts";
import type { ServicePlan, StackPlan } from "./plan.ts";

/**
 * What a deployment would do, a line for each object and one for each field that differs. Empty when
 * nothing would change.
 */
export function planLines(plan: StackPlan, prune: boolean): string[] {
  const lines: string[] = [];
  for (const { Name } of plan.createNetworks) lines.push(`network ${Name}: is created`);
  for (const { kind, name, step } of plan.files) {
    if (step === "create") lines.push(`${kind} ${name}: is created`);
    if (step === "rotate") lines.push(`${kind} ${name}: gets a new version`);
    if (step === "labels") lines.push(`${kind} ${name}: gets other labels`);
  }
  for (const service of plan.services) lines.push(...serviceLines(service));
  for (const { Spec } of plan.gone) {
    lines.push(
      prune
        ? `service ${Spec.Name}: is removed`
        : `service ${Spec.Name}: is not in the file and stays; --prune removes it`,
    );
  }
  return lines;
}

function serviceLines({ name, step, changes, replaces }: ServicePlan): string[] {
  if (step === "create") return [`service ${name}: is created`];
  if (step === "none") return [`service ${name}: no change`];
  const why = changes.filter((change) => change.replaces).map((change) => change.field);
  const tasks = replaces === 1 ? "1 task" : `${replaces} tasks`;
  const head = replaces > 0
    ? `service ${name}: replaces ${tasks} because of ${why.join(", ")}`
    : `service ${name}: changes in place`;
  return [head, ...changes.map(changeLine)];
}

function changeLine({ field, before, after }: FieldChange): string {
  if (before === "") return `    ${field}: ${after}`;
  return `    ${field}: ${before} -> ${after === "" ? "(nothing)" : after}`;
}

/** Whether a deployment would do anything. */
export function isEmptyPlan(plan: StackPlan, prune: boolean): boolean {
  return plan.createNetworks.length === 0 && plan.files.every(({ step }) => step === "none") &&
    plan.services.every(({ step }) => step === "none") && (!prune || plan.gone.length === 0);
}
