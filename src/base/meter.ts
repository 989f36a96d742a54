/**
 * What is counted and measured while it happens, by name. Names follow Prometheus' conventions; `fleet_` is put
 * before them by the adapter. Labels have few values, all of them from this program: never an id or a name of
 * a user's.
 */
export const MEASURES = {
  raft_commit_seconds: {
    kind: "histogram",
    help: "Time from a proposal on this manager to its application here.",
    labels: [],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
  },
  raft_append_seconds: {
    kind: "histogram",
    help: "Time that one durable append to the log took, fsync included.",
    labels: [],
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1],
  },
  raft_leader_changes_total: {
    kind: "counter",
    help: "Changes of the leader, or to none, as this manager saw them.",
    labels: [],
  },
  raft_proposals_failed_total: {
    kind: "counter",
    help: "Proposals that were not committed while this manager waited.",
    labels: [],
  },
  control_loop_seconds: {
    kind: "histogram",
    help: "Time of one look of a control loop, its writes included.",
    labels: ["loop"],
    buckets: [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
  },
  control_loop_queue_depth: {
    kind: "gauge",
    help: "Objects that a control loop had to look at when it last looked.",
    labels: ["loop"],
  },
  dispatcher_heartbeats_missed_total: {
    kind: "counter",
    help: "Nodes taken for down since they did not say anything for too long.",
    labels: [],
  },
  engine_operation_seconds: {
    kind: "histogram",
    help: "Time until the Docker Engine began to answer.",
    labels: ["operation"],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
  },
  engine_operation_errors_total: {
    kind: "counter",
    help: "Operations that the Docker Engine refused or did not answer.",
    labels: ["operation"],
  },
  api_request_seconds: {
    kind: "histogram",
    help: "Time until fleet's API began to answer.",
    labels: ["route", "method", "status"],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
  },
} as const satisfies Readonly<Record<string, Measure>>;

export interface Measure {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, in the unit of the name. */
  readonly buckets?: readonly number[];
}

export type MeasureName = keyof typeof MEASURES;
export type MeasureLabels = Readonly<Record<string, string>>;

/** Where figures go. Every call is cheap and none fails. */
export interface Meter {
  /** One more, or `by` more, of a counter. */
  add(name: MeasureName, labels?: MeasureLabels, by?: number): void;
  /** The value of a gauge, or one value of a histogram. */
  observe(name: MeasureName, value: number, labels?: MeasureLabels): void;
}

/** Where nobody asks for figures. */
export const silentMeter: Meter = { add: () => {}, observe: () => {} };
