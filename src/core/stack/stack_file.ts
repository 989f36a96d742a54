import type { Condition } from "../../model/dependencies.ts";

/**
 * A compose file in its long form: short syntaxes written out, durations in nanoseconds, sizes in bytes.
 * The names are the file format's. One file after reading and several after merging look the same.
 */
export interface StackFile {
  readonly version?: string;
  /** The top-level `name`: the stack's, where the command line names none. */
  readonly name?: string;
  readonly services: Readonly<Record<string, ServiceEntry>>;
  readonly networks: Readonly<Record<string, NetworkEntry>>;
  readonly volumes: Readonly<Record<string, VolumeEntry>>;
  readonly secrets: Readonly<Record<string, FileEntry>>;
  readonly configs: Readonly<Record<string, FileEntry>>;
  /** `x-…` of the top level. */
  readonly extensions: Readonly<Record<string, unknown>>;
}

export type Texts = Readonly<Record<string, string>>;

export interface ServiceEntry {
  cap_add?: string[];
  cap_drop?: string[];
  command?: string[];
  configs?: FileUse[];
  credential_spec?: { config?: string; file?: string; registry?: string };
  depends_on?: Record<string, Dependency>;
  deploy?: Deploy;
  /** `HOST:CONTAINER:PERMISSIONS`. */
  devices?: string[];
  dns?: string[];
  dns_opt?: string[];
  dns_search?: string[];
  entrypoint?: string[];
  env_file?: EnvFile[];
  /** null: declared, and without a value here. */
  environment?: Record<string, string | null>;
  /** `name:address`. */
  extra_hosts?: string[];
  group_add?: string[];
  healthcheck?: Healthcheck;
  hostname?: string;
  image?: string;
  init?: boolean;
  isolation?: string;
  labels?: Record<string, string>;
  logging?: { driver?: string; options?: Record<string, string> };
  networks?: Record<string, NetworkUse>;
  oom_score_adj?: number;
  ports?: Port[];
  privileged?: boolean;
  profiles?: string[];
  read_only?: boolean;
  restart?: string;
  secrets?: FileUse[];
  stdin_open?: boolean;
  stop_grace_period?: number;
  stop_signal?: string;
  sysctls?: Record<string, string>;
  tmpfs?: string[];
  tty?: boolean;
  ulimits?: Record<string, { soft: number; hard: number }>;
  user?: string;
  volumes?: VolumeUse[];
  working_dir?: string;
}

export interface EnvFile {
  path: string;
  required: boolean;
}

export interface Dependency {
  condition: Condition;
  required: boolean;
}

export interface FileUse {
  source: string;
  target?: string;
  uid?: string;
  gid?: string;
  mode?: number;
}

export interface Healthcheck {
  disable?: boolean;
  test?: string[];
  interval?: number;
  timeout?: number;
  start_period?: number;
  start_interval?: number;
  retries?: number;
}

export interface NetworkUse {
  aliases?: string[];
  driver_opts?: Record<string, string>;
}

export interface Port {
  name?: string;
  mode: string;
  target: number;
  published?: number;
  protocol: string;
}

export interface VolumeUse {
  type: string;
  source?: string;
  target?: string;
  read_only?: boolean;
  consistency?: string;
  bind?: { propagation?: string; create_host_path?: boolean };
  volume?: { nocopy?: boolean; subpath?: string };
  tmpfs?: { size?: number; mode?: number };
  image?: { subpath?: string };
}

export interface Rollout {
  parallelism?: number;
  delay?: number;
  failure_action?: string;
  monitor?: number;
  max_failure_ratio?: number;
  order?: string;
}

export interface Deploy {
  mode?: string;
  replicas?: number;
  labels?: Record<string, string>;
  update_config?: Rollout;
  rollback_config?: Rollout;
  resources?: {
    limits?: { cpus?: number; memory?: number; pids?: number };
    reservations?: {
      cpus?: number;
      memory?: number;
      generic_resources?: { kind: string; value: number }[];
    };
  };
  restart_policy?: { condition?: string; delay?: number; max_attempts?: number; window?: number };
  placement?: { constraints?: string[]; preferences?: string[]; max_replicas_per_node?: number };
  endpoint_mode?: string;
}

export interface NetworkEntry {
  name?: string;
  external?: boolean;
  driver?: string;
  driver_opts?: Record<string, string>;
  ipam?: {
    driver?: string;
    config?: {
      subnet?: string;
      ip_range?: string;
      gateway?: string;
      aux_addresses?: Record<string, string>;
    }[];
  };
  internal?: boolean;
  attachable?: boolean;
  enable_ipv6?: boolean;
  labels?: Record<string, string>;
}

export interface VolumeEntry {
  name?: string;
  external?: boolean;
  driver?: string;
  driver_opts?: Record<string, string>;
  labels?: Record<string, string>;
}

/** A secret or config. Exactly one of `external`, `file`, `content`, `environment` and `driver`. */
export interface FileEntry {
  name?: string;
  external?: boolean;
  /** Absolute. */
  file?: string;
  content?: string;
  environment?: string;
  driver?: string;
  driver_opts?: Record<string, string>;
  template_driver?: string;
  labels?: Record<string, string>;
}
