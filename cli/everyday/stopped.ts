import { FleetError } from "../../src/base/errors.ts";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import { withReplicas } from "../spec/update_service.ts";

/** The label in which `fleet stop` keeps how many replicas `fleet restart` brings back. */
const STOPPED = "fleet.stopped.replicas";

/** The spec with no replicas, or undefined when it has none already. @throws FleetError invalid */
export function stoppedSpec(spec: ServiceSpec): ServiceSpec | undefined {
  const replicas = spec.Mode?.Replicated?.Replicas;
  if (!spec.Mode?.Replicated) {
    throw new FleetError(
      "invalid",
      `${spec.Name} has no number of replicas that could be 0: use "fleet service rm ${spec.Name}"`,
    );
  }
  if (replicas === 0) return undefined;
  return {
    ...spec,
    Labels: { ...spec.Labels, [STOPPED]: String(replicas ?? 1) },
    Mode: withReplicas(spec.Mode, 0),
  };
}

/** The spec with the replicas it had before it was stopped, or undefined when it was not stopped. */
export function resumedSpec(spec: ServiceSpec): ServiceSpec | undefined {
  const { [STOPPED]: before, ...Labels } = spec.Labels ?? {};
  if (before === undefined || spec.Mode?.Replicated?.Replicas !== 0) return undefined;
  return { ...spec, Labels, Mode: withReplicas(spec.Mode, Number(before)) };
}
