import type { ClusterSpec, Policy } from "../../model/cluster.ts";
import type { ConfigSpec } from "../../model/config.ts";
import type { NetworkSpec } from "../../model/network.ts";
import type { NodeSpec } from "../../model/node.ts";
import type { SecretSpec } from "../../model/secret.ts";
import type { UpdateOrder } from "../../model/service.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";

/**
 * All that may be asked of the cluster, by name, with arguments and result as plain JSON: a manager
 * that does not lead forwards the call to the one that does. Objects are named by full id here; the
 * API resolves names and prefixes first.
 */
export interface ControlMethods {
  "service.create": { args: { spec: ServiceSpec }; result: { id: string; warnings: string[] } };
  "service.update": {
    args: {
      id: string;
      version: number;
      spec: ServiceSpec;
      /** Where the pull credentials come from when the new spec has none. */
      registryAuthFrom?: "spec" | "previous-spec";
      rollback?: "previous";
      /** The order in which this update replaces tasks; the spec's, and every later update's, stays. */
      order?: UpdateOrder;
    };
    result: { warnings: string[] };
  };
  "service.remove": { args: { id: string }; result: null };
  "node.update": { args: { id: string; version: number; spec: NodeSpec }; result: null };
  "node.remove": { args: { id: string; force: boolean }; result: null };
  "cluster.update": {
    args: {
      version: number;
      spec: ClusterSpec;
      rotateWorkerToken: boolean;
      rotateManagerToken: boolean;
      rotateManagerUnlockKey: boolean;
    };
    result: null;
  };
  /** A join token beyond the cluster's two. Its text is told once. */
  "token.create": {
    args: {
      role: "worker" | "manager";
      ttlMs?: number;
      uses?: number;
      labels: Readonly<Record<string, string>>;
    };
    result: { id: string; token: string };
  };
  "token.revoke": { args: { id: string }; result: null };
  "secret.create": { args: { spec: SecretSpec }; result: { id: string } };
  "secret.update": { args: { id: string; version: number; spec: SecretSpec }; result: null };
  "secret.remove": { args: { id: string }; result: null };
  /** A new version under the same name; the services that use it roll to it. */
  "secret.rotate": {
    args: {
      id: string;
      version: number;
      /** Base64. */
      data: string;
      /** Those of the old version when absent. */
      labels?: Readonly<Record<string, string>>;
      /** Ids of services that keep the old version. */
      except: readonly string[];
    };
    /** The new version's id, and the names of the services that were updated. */
    result: { id: string; services: string[] };
  };
  "config.rotate": ControlMethods["secret.rotate"];
  "config.create": { args: { spec: ConfigSpec }; result: { id: string } };
  "config.update": { args: { id: string; version: number; spec: ConfigSpec }; result: null };
  "config.remove": { args: { id: string }; result: null };
  /** fleet's own settings; what is left out stays. */
  "policy.update": { args: { policy: Policy }; result: null };
  /** Spreads running tasks evenly: of one service or all, to any node or one. */
  "rebalance.start": { args: { serviceId?: string; nodeId?: string }; result: { id: string } };
  "network.create": { args: { spec: NetworkSpec }; result: { id: string; warning: string } };
  "network.rotate-keys": { args: Record<string, never>; result: null };
  "network.remove": { args: { id: string }; result: null };
  /** A place on an attachable network for a container that the user runs on a node. */
  "network.attach": {
    args: {
      networkId: string;
      nodeId: string;
      /** The container's name, when it is known already. */
      name?: string;
      /** Of a container that exists already. */
      containerId?: string;
      aliases: readonly string[];
      address?: string;
      nameservers?: readonly string[];
    };
    result: { taskId: string };
  };
  /** Nothing but a note of who did it: the terminal itself is between the user and the task's node. */
  "terminal.open": { args: { id: string; command: string }; result: null };
  /** A container that has a place does not run any more: its name goes, and its address unless that is kept. */
  "network.container-stopped": {
    args: { taskId: string; nodeId: string; keepAddress: boolean };
    result: null;
  };
  /** It runs again, or is about to: it gets an address, the last one if that is free, and its name. */
  "network.container-started": { args: { taskId: string; nodeId: string }; result: null };
  "network.detach": { args: { taskId: string; nodeId: string }; result: null };
}
export type ControlMethod = keyof ControlMethods;
export type ControlArgs<M extends ControlMethod> = ControlMethods[M]["args"];
export type ControlResult<M extends ControlMethod> = ControlMethods[M]["result"];
