import { FleetError } from "../../src/base/errors.ts";
import type { ContainerSpec, HealthConfig } from "../../src/model/container_spec.ts";
import type {
  GenericResource,
  RestartPolicy,
  TaskSpec,
  UpdateConfig,
} from "../../src/model/service_spec.ts";
import type { ServiceFlags } from "./service_flags.ts";

/** Parts of a service spec that `create` and `update` build in the same way, each over what is there. */

/** `value` without members that are undefined. */
export function compact<T extends object>(
  value: { readonly [K in keyof T]: T[K] | undefined },
): T {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as T;
}

/** `value` unless it is empty. */
export function unlessEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length > 0 ? value : undefined;
}

export function restartPolicy(flags: ServiceFlags, now: RestartPolicy = {}): RestartPolicy {
  return compact<RestartPolicy>({
    Condition: flags.restartCondition ?? now.Condition,
    Delay: flags.restartDelay ?? now.Delay,
    MaxAttempts: flags.restartMaxAttempts ?? now.MaxAttempts,
    Window: flags.restartWindow ?? now.Window,
  });
}

/** Docker's defaults, for the first flag of the kind on a service that has none. */
const UPDATE_DEFAULTS: UpdateConfig = {
  Parallelism: 1,
  FailureAction: "pause",
  Monitor: 5_000_000_000,
  MaxFailureRatio: 0,
  Order: "stop-first",
};

/** The update or rollback settings with the flags applied; undefined when neither exists. */
export function updateConfig(
  kind: "update" | "rollback",
  flags: ServiceFlags,
  now: UpdateConfig | undefined,
): UpdateConfig | undefined {
  const given = compact<UpdateConfig>({
    Parallelism: flags[`${kind}Parallelism`],
    Delay: flags[`${kind}Delay`],
    Monitor: flags[`${kind}Monitor`],
    FailureAction: flags[`${kind}FailureAction`],
    MaxFailureRatio: flags[`${kind}MaxFailureRatio`],
    Order: flags[`${kind}Order`],
  });
  if (!unlessEmpty(given)) return now;
  return { ...(now ?? UPDATE_DEFAULTS), ...given };
}

type Resources = NonNullable<TaskSpec["Resources"]>;

export function resources(
  flags: ServiceFlags,
  generic: readonly GenericResource[] | undefined,
  now: Resources = {},
): Resources | undefined {
  const limits = compact<NonNullable<Resources["Limits"]>>({
    NanoCPUs: flags.limitCpu ?? now.Limits?.NanoCPUs,
    MemoryBytes: flags.limitMemory ?? now.Limits?.MemoryBytes,
    Pids: flags.limitPids ?? now.Limits?.Pids,
  });
  const reservations = compact<NonNullable<Resources["Reservations"]>>({
    NanoCPUs: flags.reserveCpu ?? now.Reservations?.NanoCPUs,
    MemoryBytes: flags.reserveMemory ?? now.Reservations?.MemoryBytes,
    GenericResources: generic?.length ? generic : undefined,
  });
  return unlessEmpty(compact<Resources>({
    ...now,
    Limits: unlessEmpty(limits),
    Reservations: unlessEmpty(reservations),
    SwapBytes: flags.memorySwap ?? now.SwapBytes,
    MemorySwappiness: flags.memorySwappiness ?? now.MemorySwappiness,
  }));
}

export function healthcheck(
  flags: ServiceFlags,
  now: HealthConfig | undefined,
): HealthConfig | undefined {
  const given = compact<HealthConfig>({
    Interval: flags.healthInterval,
    Timeout: flags.healthTimeout,
    Retries: flags.healthRetries,
    StartPeriod: flags.healthStartPeriod,
    StartInterval: flags.healthStartInterval,
    Test: flags.healthCmd === undefined
      ? undefined
      : flags.healthCmd === ""
      ? []
      : ["CMD-SHELL", flags.healthCmd],
  });
  if (flags.noHealthcheck) {
    if (unlessEmpty(given)) {
      throw new FleetError("invalid", "--no-healthcheck does not go with the --health-… flags");
    }
    return { Test: ["NONE"] };
  }
  if (!unlessEmpty(given)) return now;
  // Settings for a check imply that there is one again.
  const { Test: test, ...rest } = now ?? {};
  return { ...rest, ...(test && test[0] !== "NONE" ? { Test: test } : {}), ...given };
}

/** `config://name`, `file://name` or `registry://key`. @throws FleetError invalid */
export function credentialSpec(
  text: string,
): { Config?: string; File?: string; Registry?: string } {
  const match = /^(config|file|registry):\/\/(.+)$/.exec(text);
  if (match?.[1] === "config") return { Config: match[2]! };
  if (match?.[1] === "file") return { File: match[2]! };
  if (match?.[1] === "registry") return { Registry: match[2]! };
  throw new FleetError(
    "invalid",
    `credential spec "${text}": write it as config://name, file://name or registry://key`,
  );
}

/** `name=count` or `name=value`, repeated or separated by commas. @throws FleetError invalid */
export function genericResources(texts: readonly string[]): GenericResource[] {
  return texts.flatMap((text) => text.split(",")).map((text) => {
    const match = /^([^=]+)=(.+)$/.exec(text.trim());
    if (!match || !/^\d+$/.test(match[2]!)) {
      throw new FleetError(
        "invalid",
        `generic resource "${text}": write it as name=count (named ones cannot be asked for)`,
      );
    }
    return { DiscreteResourceSpec: { Kind: match[1]!, Value: Number(match[2]) } };
  });
}

/** `host:ip` as the hosts file has it: `ip host`. @throws FleetError invalid */
export function hostEntry(text: string): string {
  const at = text.search(/[:=]/);
  const [host, address] = [text.slice(0, at), text.slice(at + 1).replace(/^\[(.*)\]$/, "$1")];
  if (at <= 0 || address === "") {
    throw new FleetError("invalid", `host "${text}": write it as name:address`);
  }
  return `${address} ${host}`;
}

/** `spread=node.labels.…`. @throws FleetError invalid */
export function placementPreference(text: string): { Spread: { SpreadDescriptor: string } } {
  const match = /^spread=(.+)$/.exec(text);
  if (!match) {
    throw new FleetError(
      "invalid",
      `placement preference "${text}": write it as spread=node.labels.name`,
    );
  }
  return { Spread: { SpreadDescriptor: match[1]! } };
}

/** Fields of the container that a flag replaces as they are. */
export function containerFields(flags: ServiceFlags): Partial<ContainerSpec> {
  return compact<ContainerSpec>({
    Dir: flags.workdir,
    User: flags.user,
    Hostname: flags.hostname,
    Init: flags.init,
    StopSignal: flags.stopSignal,
    TTY: flags.tty,
    ReadOnly: flags.readOnly,
    StopGracePeriod: flags.stopGracePeriod,
    Isolation: flags.isolation,
    OomScoreAdj: flags.oomScoreAdj,
  });
}
