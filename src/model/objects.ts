import { Audit } from "./audit.ts";
import { Cluster } from "./cluster.ts";
import { Config } from "./config.ts";
import { canonical } from "./json.ts";
import { Network } from "./network.ts";
import { Node } from "./node.ts";
import { Secret } from "./secret.ts";
import { Service } from "./service.ts";
import { Task } from "./task.ts";

/** The replicated tables and the schema of what they hold. */
export const SCHEMAS = {
  cluster: Cluster,
  node: Node,
  service: Service,
  task: Task,
  network: Network,
  secret: Secret,
  config: Config,
  audit: Audit,
} as const;

/** The object type of each table. */
export interface Objects {
  cluster: Cluster;
  node: Node;
  service: Service;
  task: Task;
  network: Network;
  secret: Secret;
  config: Config;
  audit: Audit;
}
export type TableName = keyof Objects;
export const TABLES = Object.keys(SCHEMAS) as TableName[];

/** `object` in the one byte order that the log and snapshots use. */
export function canonicalObject<T extends TableName>(table: T, object: Objects[T]): Objects[T] {
  return canonical(SCHEMAS[table], object) as Objects[T];
}
