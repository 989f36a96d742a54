import { ContainerSpec } from "./container_spec.ts";
import { bool, int, labels, list, num, obj, opt, str, uint } from "./json.ts";
import type { Infer } from "./json.ts";
import { annotationFields, Driver } from "./meta.ts";

/** Discrete (`Value` a count) or named (`Value` one name) resources that engines cannot measure. */
export const GenericResource = obj({
  NamedResourceSpec: opt(obj({ Kind: opt(str), Value: opt(str) })),
  DiscreteResourceSpec: opt(obj({ Kind: opt(str), Value: opt(int) })),
});
export type GenericResource = Infer<typeof GenericResource>;

/** CPUs in 10⁻⁹ of one, memory in bytes. */
export const Resources = obj({
  NanoCPUs: opt(int),
  MemoryBytes: opt(int),
  GenericResources: opt(list(GenericResource)),
});
export type Resources = Infer<typeof Resources>;

const Limits = obj({ NanoCPUs: opt(int), MemoryBytes: opt(int), Pids: opt(int) });

/** `Condition` is none, on-failure or any; `Delay` and `Window` in nanoseconds. */
export const RestartPolicy = obj({
  Condition: opt(str),
  Delay: opt(int),
  MaxAttempts: opt(uint),
  Window: opt(int),
});
export type RestartPolicy = Infer<typeof RestartPolicy>;

export const Platform = obj({ Architecture: opt(str), OS: opt(str) });
export type Platform = Infer<typeof Platform>;

export const Placement = obj({
  Constraints: opt(list(str)),
  Preferences: opt(list(obj({ Spread: opt(obj({ SpreadDescriptor: opt(str) })) }))),
  MaxReplicas: opt(uint),
  Platforms: opt(list(Platform)),
});
export type Placement = Infer<typeof Placement>;

export const NetworkAttachmentConfig = obj({
  Target: opt(str),
  Aliases: opt(list(str)),
  DriverOpts: opt(labels),
});
export type NetworkAttachmentConfig = Infer<typeof NetworkAttachmentConfig>;

/** Docker's TaskSpec: all that one task of the service needs. */
export const TaskSpec = obj({
  ContainerSpec: opt(ContainerSpec),
  /** Internal: a container outside any service, attached to a network. */
  NetworkAttachmentSpec: opt(obj({
    ContainerID: opt(str),
    /** Its own name servers, for what the cluster does not know. */
    Nameservers: opt(list(str)),
    /** Its user asked for the address that it has. */
    Fixed: opt(bool),
    /** The container does not run: it has no name, and an address only if that is kept for it. */
    Idle: opt(bool),
    /** What it had when it ran last; it gets that again unless somebody else has it by then. */
    LastAddress: opt(str),
  })),
  Resources: opt(obj({
    Limits: opt(Limits),
    Reservations: opt(Resources),
    SwapBytes: opt(int),
    MemorySwappiness: opt(int),
  })),
  RestartPolicy: opt(RestartPolicy),
  Placement: opt(Placement),
  Networks: opt(list(NetworkAttachmentConfig)),
  LogDriver: opt(Driver),
  ForceUpdate: opt(uint),
  Runtime: opt(str),
});
export type TaskSpec = Infer<typeof TaskSpec>;

/** `Parallelism` 0 is all at once; `Delay` and `Monitor` in nanoseconds. */
export const UpdateConfig = obj({
  Parallelism: opt(uint),
  Delay: opt(int),
  FailureAction: opt(str),
  Monitor: opt(int),
  MaxFailureRatio: opt(num),
  Order: opt(str),
});
export type UpdateConfig = Infer<typeof UpdateConfig>;

export const PortConfig = obj({
  Name: opt(str),
  Protocol: opt(str),
  TargetPort: opt(uint),
  PublishedPort: opt(uint),
  PublishMode: opt(str),
});
export type PortConfig = Infer<typeof PortConfig>;

export const EndpointSpec = obj({ Mode: opt(str), Ports: opt(list(PortConfig)) });
export type EndpointSpec = Infer<typeof EndpointSpec>;

/** Exactly one member is set. */
export const ServiceMode = obj({
  Replicated: opt(obj({ Replicas: opt(uint) })),
  Global: opt(obj({})),
  ReplicatedJob: opt(obj({ MaxConcurrent: opt(uint), TotalCompletions: opt(uint) })),
  GlobalJob: opt(obj({})),
});
export type ServiceMode = Infer<typeof ServiceMode>;

export const ServiceSpec = obj({
  ...annotationFields,
  TaskTemplate: opt(TaskSpec),
  Mode: opt(ServiceMode),
  UpdateConfig: opt(UpdateConfig),
  RollbackConfig: opt(UpdateConfig),
  /** Older clients put the networks here. */
  Networks: opt(list(NetworkAttachmentConfig)),
  EndpointSpec: opt(EndpointSpec),
  /** Beyond Docker: false turns the growing delay of crash loops off. */
  Backoff: opt(bool),
});
export type ServiceSpec = Infer<typeof ServiceSpec>;
