import type { Task, TaskStatus } from "../../model/task.ts";

/** The node's tasks on disk; `src/adapters/sqlite` implements it. */
export interface TaskStore {
  list(): Promise<{ readonly task: Task; readonly status: TaskStatus | undefined }[]>;
  /** All or nothing. @throws FleetError unavailable when the disk is full */
  replace(put: readonly Task[], removed: readonly string[]): void;
  setStatus(id: string, status: TaskStatus): void;
}
