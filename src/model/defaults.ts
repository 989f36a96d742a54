import { SECOND_NS } from "../base/duration.ts";
import type { RestartPolicy, ServiceSpec, UpdateConfig } from "./service_spec.ts";
import { modeOf } from "./service.ts";

/** Docker's defaults for what a service spec leaves out. */
export const DEFAULT_STOP_GRACE_NS = 10 * SECOND_NS;
export const DEFAULT_RESTART: Required<RestartPolicy> = {
  Condition: "any",
  Delay: 5 * SECOND_NS,
  MaxAttempts: 0,
  Window: 0,
};
export const DEFAULT_UPDATE: Required<UpdateConfig> = {
  Parallelism: 1,
  Delay: 0,
  FailureAction: "pause",
  Monitor: 5 * SECOND_NS,
  MaxFailureRatio: 0,
  Order: "stop-first",
};

/** The restart policy in force; jobs never restart what finished well. */
export function restartPolicyOf(spec: ServiceSpec): Required<RestartPolicy> {
  const policy = { ...DEFAULT_RESTART, ...spec.TaskTemplate?.RestartPolicy };
  const job = modeOf(spec).endsWith("-job");
  return job && policy.Condition === "any" ? { ...policy, Condition: "on-failure" } : policy;
}

export function updateConfigOf(spec: ServiceSpec, rollback: boolean): Required<UpdateConfig> {
  const config = { ...DEFAULT_UPDATE, ...(rollback ? spec.RollbackConfig : spec.UpdateConfig) };
  return config.Monitor === 0 ? { ...config, Monitor: DEFAULT_UPDATE.Monitor } : config;
}

/** Docker writes no window where none was asked for. */
function shownPolicy(spec: ServiceSpec): RestartPolicy {
  const { Window, ...policy } = restartPolicyOf(spec);
  return spec.TaskTemplate?.RestartPolicy?.Window === undefined ? policy : { ...policy, Window };
}

/** The spec with every default written out, for `insertDefaults`. */
export function withDefaults(spec: ServiceSpec): ServiceSpec {
  const job = modeOf(spec).endsWith("-job");
  const container = spec.TaskTemplate?.ContainerSpec;
  return {
    ...spec,
    TaskTemplate: {
      ...spec.TaskTemplate,
      ContainerSpec: { StopGracePeriod: DEFAULT_STOP_GRACE_NS, DNSConfig: {}, ...container },
      Resources: spec.TaskTemplate?.Resources ?? {},
      RestartPolicy: shownPolicy(spec),
      Placement: spec.TaskTemplate?.Placement ?? {},
    },
    ...(job ? {} : {
      UpdateConfig: { ...DEFAULT_UPDATE, ...spec.UpdateConfig },
      RollbackConfig: { ...DEFAULT_UPDATE, ...spec.RollbackConfig },
    }),
  };
}
