import type { NodeDescription } from "./node.ts";
import type { Task, TaskStatus } from "./task.ts";

/**
 * Messages of the session between an agent and the leader's dispatcher: one stream, JSON, one message
 * each. The stream's end is the session's end.
 */
export type FromAgent =
  /** First message; repeated when the description changed. */
  | { readonly type: "hello"; readonly description: NodeDescription }
  | { readonly type: "heartbeat" }
  /** At most {@link MAX_STATUS_BATCH} at once. */
  | { readonly type: "status"; readonly updates: readonly TaskStatusUpdate[] };

export interface TaskStatusUpdate {
  readonly taskId: string;
  readonly status: TaskStatus;
}

export type FromDispatcher =
  | {
    readonly type: "session";
    readonly sessionId: string;
    /** The agent beats at least this often; the session ends after three missed ones. */
    readonly heartbeatPeriodMs: number;
    /** All managers, for the next connection. */
    readonly managers: readonly { readonly nodeId: string; readonly addr: string }[];
    readonly role: "worker" | "manager";
    /** Renew the certificate at once (role change, root rotation). */
    readonly renewCertificate: boolean;
  }
  /** Acknowledges status messages up to and including the nth of this session. */
  | { readonly type: "ack"; readonly count: number }
  | { readonly type: "assignments"; readonly assignments: Assignments };

/**
 * What the node shall do. The first message of a session is `complete`; later ones are differences and
 * apply only to the state that `appliesTo` names, else the agent opens the session anew.
 */
export interface Assignments {
  readonly kind: "complete" | "incremental";
  readonly appliesTo: number;
  readonly resultsIn: number;
  readonly update: readonly Assignment[];
  /** What is no longer assigned. */
  readonly remove: readonly { readonly kind: Assignment["kind"]; readonly id: string }[];
}

/** Secret and config data are base64. */
export type Assignment =
  | { readonly kind: "task"; readonly id: string; readonly task: Task }
  | { readonly kind: "secret"; readonly id: string; readonly name: string; readonly data: string }
  | { readonly kind: "config"; readonly id: string; readonly name: string; readonly data: string };

/** Status updates that travel together. */
export const MAX_STATUS_BATCH = 1_000;
