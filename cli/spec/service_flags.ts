/**
 * The flags that `service create` and `service update` share, as values. Durations are nanoseconds,
 * sizes bytes, CPUs 10⁻⁹ of one. A field that is absent was not given.
 */
export interface ServiceFlags {
  readonly detach?: boolean;
  readonly quiet?: boolean;
  readonly workdir?: string;
  readonly user?: string;
  readonly hostname?: string;
  readonly entrypoint?: string;
  readonly credentialSpec?: string;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly limitCpu?: number;
  readonly limitMemory?: number;
  readonly limitPids?: number;
  readonly reserveCpu?: number;
  readonly reserveMemory?: number;
  readonly memorySwap?: number;
  readonly memorySwappiness?: number;
  readonly stopGracePeriod?: number;
  readonly stopSignal?: string;
  readonly isolation?: string;
  readonly readOnly?: boolean;
  readonly tty?: boolean;
  readonly init?: boolean;
  readonly oomScoreAdj?: number;
  readonly replicas?: number;
  readonly maxConcurrent?: number;
  readonly replicasMaxPerNode?: number;
  readonly restartCondition?: string;
  readonly restartDelay?: number;
  readonly restartMaxAttempts?: number;
  readonly restartWindow?: number;
  readonly restartBackoff?: boolean;
  readonly privileged?: boolean;
  readonly device?: readonly string[];
  readonly updateParallelism?: number;
  readonly updateDelay?: number;
  readonly updateMonitor?: number;
  readonly updateFailureAction?: string;
  readonly updateMaxFailureRatio?: number;
  readonly updateOrder?: string;
  readonly rollbackParallelism?: number;
  readonly rollbackDelay?: number;
  readonly rollbackMonitor?: number;
  readonly rollbackFailureAction?: string;
  readonly rollbackMaxFailureRatio?: number;
  readonly rollbackOrder?: string;
  readonly endpointMode?: string;
  readonly withRegistryAuth?: boolean;
  readonly noResolveImage?: boolean;
  readonly logDriver?: string;
  readonly logOpt?: readonly string[];
  readonly healthCmd?: string;
  readonly healthInterval?: number;
  readonly healthTimeout?: number;
  readonly healthRetries?: number;
  readonly healthStartPeriod?: number;
  readonly healthStartInterval?: number;
  readonly noHealthcheck?: boolean;
}

/** The flags of `service create`. */
export interface CreateFlags extends ServiceFlags {
  readonly name?: string;
  readonly mode?: "replicated" | "global" | "replicated-job" | "global-job";
  readonly label?: readonly string[];
  readonly containerLabel?: readonly string[];
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly mount?: readonly string[];
  readonly constraint?: readonly string[];
  readonly placementPref?: readonly string[];
  readonly network?: readonly string[];
  readonly secret?: readonly string[];
  readonly config?: readonly string[];
  readonly publish?: readonly string[];
  readonly group?: readonly string[];
  readonly dns?: readonly string[];
  readonly dnsOption?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly host?: readonly string[];
  readonly sysctl?: readonly string[];
  readonly ulimit?: readonly string[];
  readonly genericResource?: readonly string[];
}

/** The lists of which `service update` adds to and takes from. */
export type UpdateList =
  | "env"
  | "label"
  | "containerLabel"
  | "mount"
  | "publish"
  | "constraint"
  | "placementPref"
  | "network"
  | "secret"
  | "config"
  | "group"
  | "dns"
  | "dnsOption"
  | "dnsSearch"
  | "host"
  | "sysctl"
  | "ulimit"
  | "genericResource";

/** The flags of `service update`. */
export type UpdateFlags =
  & ServiceFlags
  & {
    readonly image?: string;
    readonly args?: string;
    readonly force?: boolean;
    readonly rollback?: boolean;
  }
  & { readonly [K in UpdateList as `${K}Add` | `${K}Rm`]?: readonly string[] };
