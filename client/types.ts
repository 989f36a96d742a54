/** The objects as the API delivers them; the names are those of Docker's Engine API. */

export interface Version {
  readonly Index: number;
}

export type Labels = Readonly<Record<string, string>>;

export interface ServiceSpec {
  readonly Name?: string;
  readonly Labels?: Labels;
  readonly TaskTemplate?: {
    readonly ContainerSpec?: {
      readonly Image?: string;
      readonly Command?: readonly string[];
      readonly Args?: readonly string[];
      readonly Env?: readonly string[];
      readonly [more: string]: unknown;
    };
    readonly [more: string]: unknown;
  };
  readonly Mode?: {
    readonly Replicated?: { readonly Replicas?: number };
    readonly Global?: Readonly<Record<never, never>>;
    readonly [more: string]: unknown;
  };
  readonly EndpointSpec?: Readonly<Record<string, unknown>>;
  readonly [more: string]: unknown;
}

export interface Service {
  readonly ID: string;
  readonly Version: Version;
  readonly CreatedAt?: string;
  readonly UpdatedAt?: string;
  readonly Spec: ServiceSpec;
  readonly ServiceStatus?: {
    readonly RunningTasks?: number;
    readonly DesiredTasks?: number;
    readonly CompletedTasks?: number;
  };
}

export interface Node {
  readonly ID: string;
  readonly Version: Version;
  readonly Spec: {
    readonly Name?: string;
    readonly Labels?: Labels;
    readonly Role?: "worker" | "manager";
    readonly Availability?: "active" | "pause" | "drain";
  };
  readonly Description?: { readonly Hostname?: string; readonly [more: string]: unknown };
  readonly Status: { readonly State: string; readonly Message?: string; readonly Addr?: string };
  readonly ManagerStatus?: {
    readonly Leader?: boolean;
    readonly Reachability?: string;
    readonly Addr?: string;
  };
}

export interface Task {
  readonly ID: string;
  readonly Version: Version;
  readonly ServiceID?: string;
  readonly NodeID?: string;
  readonly Slot?: number;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Timestamp?: string;
    readonly Message?: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly ExitCode?: number };
  };
}

export interface Event {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes?: Labels };
  readonly time?: number;
  readonly timeNano?: number;
}

/** What Docker's API has no word for. */
export interface FleetInfo {
  readonly Version: string;
  readonly LocalNodeState: string;
  readonly NodeID: string;
  readonly ControlAvailable: boolean;
  readonly LeaderID?: string;
  readonly Nodes?: number;
  readonly Managers?: number;
  readonly ManagersReachable?: number;
  /** One sentence: how many managers may fail. */
  readonly Tolerance?: string;
}

/** `{ label: ["a=b"], name: ["web"] }` */
export type Filters = Readonly<Record<string, readonly string[]>>;
