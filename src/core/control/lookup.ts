import { FleetError } from "../../base/errors.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";

/** The object with this full id. @throws FleetError not-found, in Docker's words */
export function find<T extends TableName>(view: View, table: T, id: string): Objects[T] {
  const object = view.get(table, id);
  if (!object) throw new FleetError("not-found", `${table} ${id} not found`);
  return object;
}

/** As {@link find}, and checks that the caller has seen the newest version. @throws FleetError out-of-sequence */
export function findVersion<T extends TableName>(
  view: View,
  table: T,
  id: string,
  version: number,
): Objects[T] {
  const object = find(view, table, id);
  if (object.Version.Index !== version) {
    throw new FleetError("out-of-sequence", "update out of sequence");
  }
  return object;
}

/** The cluster object. @throws FleetError unavailable before the first one is committed */
export function findCluster(view: View): Cluster {
  const cluster = clusterOf(view);
  if (!cluster) {
    throw new FleetError("unavailable", "the cluster is still being created; try again");
  }
  return cluster;
}
