import { bool, int, labels, list, obj, opt, str, uint } from "./json.ts";
import type { Infer } from "./json.ts";
import { Driver } from "./meta.ts";

/** A mount of a container. `Type` is checked in validation, so that its message can list the types. */
export const Mount = obj({
  Type: opt(str),
  Source: opt(str),
  Target: opt(str),
  ReadOnly: opt(bool),
  Consistency: opt(str),
  BindOptions: opt(obj({
    Propagation: opt(str),
    NonRecursive: opt(bool),
    CreateMountpoint: opt(bool),
    ReadOnlyNonRecursive: opt(bool),
    ReadOnlyForceRecursive: opt(bool),
  })),
  VolumeOptions: opt(obj({
    NoCopy: opt(bool),
    Labels: opt(labels),
    DriverConfig: opt(Driver),
    Subpath: opt(str),
  })),
  ImageOptions: opt(obj({ Subpath: opt(str) })),
  TmpfsOptions: opt(obj({ SizeBytes: opt(int), Mode: opt(uint), Options: opt(list(list(str))) })),
});
export type Mount = Infer<typeof Mount>;

/** Durations in nanoseconds; 0 means the engine's default. */
export const HealthConfig = obj({
  Test: opt(list(str)),
  Interval: opt(int),
  Timeout: opt(int),
  StartPeriod: opt(int),
  StartInterval: opt(int),
  Retries: opt(int),
});
export type HealthConfig = Infer<typeof HealthConfig>;

const File = obj({ Name: opt(str), UID: opt(str), GID: opt(str), Mode: opt(uint) });

export const SecretReference = obj({
  File: opt(File),
  SecretID: opt(str),
  SecretName: opt(str),
});
export type SecretReference = Infer<typeof SecretReference>;

export const ConfigReference = obj({
  File: opt(File),
  Runtime: opt(obj({})),
  ConfigID: opt(str),
  ConfigName: opt(str),
});
export type ConfigReference = Infer<typeof ConfigReference>;

const Privileges = obj({
  CredentialSpec: opt(obj({ Config: opt(str), File: opt(str), Registry: opt(str) })),
  SELinuxContext: opt(obj({
    Disable: opt(bool),
    User: opt(str),
    Role: opt(str),
    Type: opt(str),
    Level: opt(str),
  })),
  Seccomp: opt(obj({ Mode: opt(str), Profile: opt(str) })),
  AppArmor: opt(obj({ Mode: opt(str) })),
  NoNewPrivileges: opt(bool),
});

/** What runs: Docker's ContainerSpec. */
export const ContainerSpec = obj({
  Image: opt(str),
  Labels: opt(labels),
  Command: opt(list(str)),
  Args: opt(list(str)),
  Hostname: opt(str),
  Env: opt(list(str)),
  Dir: opt(str),
  User: opt(str),
  Groups: opt(list(str)),
  Privileges: opt(Privileges),
  Init: opt(bool),
  StopSignal: opt(str),
  TTY: opt(bool),
  OpenStdin: opt(bool),
  ReadOnly: opt(bool),
  Mounts: opt(list(Mount)),
  StopGracePeriod: opt(int),
  Healthcheck: opt(HealthConfig),
  Hosts: opt(list(str)),
  DNSConfig: opt(obj({
    Nameservers: opt(list(str)),
    Search: opt(list(str)),
    Options: opt(list(str)),
  })),
  Secrets: opt(list(SecretReference)),
  Configs: opt(list(ConfigReference)),
  Isolation: opt(str),
  Sysctls: opt(labels),
  CapabilityAdd: opt(list(str)),
  CapabilityDrop: opt(list(str)),
  Ulimits: opt(list(obj({ Name: opt(str), Hard: opt(int), Soft: opt(int) }))),
  OomScoreAdj: opt(int),
  /** Internal: how to pull. Comes from X-Registry-Auth and never leaves through the API. */
  PullOptions: opt(obj({ RegistryAuth: opt(str) })),
});
export type ContainerSpec = Infer<typeof ContainerSpec>;
