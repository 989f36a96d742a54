import type { Objects, TableName } from "./objects.ts";
import type { Task } from "./task.ts";

/**
 * Read access to the cluster's state at one moment. Decisions take a View and answer with changes; they
 * never hold one across a wait. Iteration order is that of creation on this replica: sort before
 * anything order-dependent leaves a decision.
 */
export interface View {
  /** Raft index of the last applied change. */
  readonly index: number;
  get<T extends TableName>(table: T, id: string): Objects[T] | undefined;
  all<T extends TableName>(table: T): Iterable<Objects[T]>;
  count(table: TableName): number;
  /** By exact name, case-insensitive: services, networks, secrets, configs, clusters. */
  byName<T extends TableName>(table: T, name: string): Objects[T] | undefined;
  tasksOfService(serviceId: string): Iterable<Task>;
  tasksOfNode(nodeId: string): Iterable<Task>;
}

/** One change of one object, as proposed by a decision. */
export type Change =
  | { readonly [T in TableName]: { op: "create"; table: T; object: Objects[T] } }[TableName]
  /** `object.Version` must be that of the object as it was read. */
  | { readonly [T in TableName]: { op: "update"; table: T; object: Objects[T] } }[TableName]
  | { readonly op: "remove"; readonly table: TableName; readonly id: string };

/** One applied change, as watchers see it. */
export interface Applied<T extends TableName = TableName> {
  readonly op: "create" | "update" | "remove";
  readonly table: T;
  readonly object: Objects[T];
  /** Before an update. */
  readonly previous?: Objects[T];
}

/** The cluster object; every initialised cluster has exactly one. */
export function clusterOf(view: View): Objects["cluster"] | undefined {
  for (const cluster of view.all("cluster")) return cluster;
  return undefined;
}
