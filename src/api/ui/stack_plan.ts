import { FleetError } from "../../base/errors.ts";
import { desiredStack } from "../../core/stack/desired.ts";
import { loadStack } from "../../core/stack/load.ts";
import { checkStackName, STACK_LABEL } from "../../core/stack/naming.ts";
import { planStack } from "../../core/stack/plan.ts";
import type { FileStep, ObservedStack } from "../../core/stack/plan.ts";
import { planLines } from "../../core/stack/plan_text.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { serviceSpecJson } from "../projection/service.ts";

/** A compose file is written by a person. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * What deploying a compose file as `stack` would change, as `fleet stack deploy --dry-run` says it; nothing is
 * changed. The file stands alone: what it names on the user's disk or in the environment is not here.
 * @throws FleetError invalid, with line and column
 */
export async function stackPlan(
  backend: Backend,
  stack: string,
  text: string,
): Promise<{ readonly lines: readonly string[] }> {
  if (text.length > MAX_FILE_BYTES) {
    throw new FleetError("invalid", `a compose file of more than ${MAX_FILE_BYTES} characters`);
  }
  checkStackName(stack);
  const { file } = await loadStack([{ name: "compose.yaml", text }], {
    stack,
    places: { folder: "/", home: "/" },
    lookup: () => undefined,
    readText: (path) => {
      const sentence = `the page cannot read ${path}: use fleet stack deploy --dry-run`;
      return Promise.reject(new FleetError("invalid", sentence));
    },
  });
  const desired = desiredStack(stack, file);
  const { value } = await backend.read((view) => {
    const files = new Map<string, FileStep>(
      desired.files.map(({ kind, name }) => [
        `${kind} ${name}`,
        view.byName(kind, name) ? "none" : "create",
      ]),
    );
    const fileIds = new Map(desired.files.flatMap(({ kind, name }) => {
      const found = view.byName(kind, name);
      return found ? [[`${kind} ${name}`, found.ID] as const] : [];
    }));
    return planStack(desired, { ...observe(view, stack, files), fileIds }, "never");
  });
  return { lines: planLines(value, false) };
}

function observe(
  view: View,
  stack: string,
  files: ReadonlyMap<string, FileStep>,
): Omit<ObservedStack, "fileIds"> {
  const networks = [...view.all("network")];
  return {
    services: [...view.all("service")]
      .filter(({ Spec }) => Spec.Labels?.[STACK_LABEL] === stack)
      .map((service) => ({
        ID: service.ID,
        Version: service.Version,
        // As a client of the API sees it, with the defaults that are always shown.
        Spec: serviceSpecJson(service.Spec) as ServiceSpec,
        tasks: [...view.tasksOfService(service.ID)]
          .filter(({ DesiredState }) => !isTerminal(DesiredState)).length,
      })),
    networks: new Set(networks.map(({ Spec }) => Spec.Name ?? "")),
    networkNames: new Map(networks.map(({ ID, Spec }) => [ID, Spec.Name ?? ID])),
    files,
  };
}
