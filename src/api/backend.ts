import type { Duplex } from "../base/duplex.ts";
import type { LogLevel } from "../base/log.ts";
import type { ControlArgs, ControlMethod, ControlResult } from "../core/control/methods.ts";
import type { BackupFacts } from "../model/backup.ts";
import type { Applied, View } from "../model/view.ts";

/** What this node is, in the words of Docker's `Swarm` stanza. */
export interface LocalState {
  readonly state: "inactive" | "pending" | "active" | "error" | "locked";
  readonly nodeId: string;
  /** The advertised address, without port. */
  readonly nodeAddr: string;
  /** Whether a manager runs here and answers. */
  readonly manager: boolean;
  readonly error: string;
  /** End of this node's certificate, on a member. */
  readonly certificateNotAfterMs?: number;
  readonly remoteManagers: readonly { readonly NodeID: string; readonly Addr: string }[];
}

/** Raft's picture of the managers, for node lists and `info`. */
export interface ManagerState {
  readonly leaderId: string;
  readonly managers: readonly {
    readonly nodeId: string;
    readonly addr: string;
    readonly reachable: boolean;
    /** False while it still catches up and does not count for the quorum. */
    readonly voter: boolean;
  }[];
  /** Nodes whose connection ended a moment ago and that are not yet taken for down; known to the leader. */
  readonly silentNodes?: readonly string[];
}

export interface InitRequest {
  readonly ListenAddr?: string;
  readonly AdvertiseAddr?: string;
  readonly DataPathAddr?: string;
  readonly DataPathPort?: number;
  readonly ForceNewCluster?: boolean;
  readonly Spec?: ControlArgs<"cluster.update">["spec"];
  readonly AutoLockManagers?: boolean;
  readonly Availability?: string;
  readonly DefaultAddrPool?: readonly string[];
  readonly SubnetSize?: number;
}

export interface JoinRequest {
  readonly ListenAddr?: string;
  readonly AdvertiseAddr?: string;
  readonly DataPathAddr?: string;
  readonly RemoteAddrs?: readonly string[];
  readonly JoinToken?: string;
  readonly Availability?: string;
}

/** An answer of another node, as it comes. */
export interface NodeAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface RestoreRequest {
  readonly passphrase: string;
  readonly listenAddr?: string | undefined;
  readonly advertiseAddr?: string | undefined;
  readonly dataPathAddr?: string | undefined;
}

/** What a person does in a terminal: types, or changes its size. */
export type TerminalInput =
  | { readonly data: Uint8Array }
  | { readonly columns: number; readonly rows: number };

/** What a container outside any service wants from a network of the cluster. */
export interface AttachRequest {
  readonly networkId: string;
  readonly aliases: readonly string[];
  /** The container's name, when it is known already. */
  readonly name?: string;
  /** Of a container that exists already. */
  readonly containerId?: string;
  readonly address?: string;
  /** The container's own name servers. */
  readonly nameservers?: readonly string[];
}

/** A container's place on a network: the attachment's id, its address, and where names are answered. */
export interface AttachedPlace {
  readonly taskId: string;
  readonly address: string;
  readonly mac: string | undefined;
  readonly gateway: string;
}

/**
 * The node as the API sees it; `src/roles/node/` implements it. Every method may throw a FleetError;
 * manager calls on a node that is none throw `unavailable` with the sentence of `localState`.
 */
export interface Backend {
  localState(): LocalState;
  /** As far as this manager can tell. */
  managerState(): ManagerState;
  /** As the leader can, who hears from all of them. */
  managersHeard(signal: AbortSignal): Promise<ManagerState>;
  init(request: InitRequest): Promise<string>;
  join(request: JoinRequest): Promise<void>;
  leave(force: boolean): Promise<void>;
  /** @throws FleetError conflict (not locked), unauthorized (wrong key), invalid (malformed) */
  unlock(key: string): Promise<void>;
  /** Empty when autolock is off. */
  unlockKey(): Promise<string>;

  /** The cluster's state in one sealed file. @throws FleetError unavailable on a node that is no manager */
  backup(passphrase: string): Promise<Uint8Array>;
  /** What a backup holds; changes nothing. */
  backupFacts(file: Uint8Array, passphrase: string): Promise<BackupFacts>;
  /** Makes this node the one manager of the backup's cluster. @throws FleetError unavailable inside of one */
  restore(file: Uint8Array, request: RestoreRequest): Promise<BackupFacts>;

  /**
   * Runs `read` on a linearizable view (read index); without a quorum on this node's last known state,
   * with `stale` set. @throws FleetError unavailable when this node is no manager
   */
  read<T>(read: (view: View) => T, signal?: AbortSignal): Promise<{ value: T; stale: boolean }>;
  /** Performs a control method on the leader; `actor` is who asks, for the audit log. */
  call<M extends ControlMethod>(
    method: M,
    args: ControlArgs<M>,
    signal?: AbortSignal,
    actor?: string,
  ): Promise<ControlResult<M>>;
  /**
   * Asks the engine of the node that runs a task about its container: `logs?…`, `json`, `top`, `stats?…`;
   * or runs a command in it: `exec?command=…` with what is typed as `input`.
   * @throws FleetError not-found, unavailable naming the node, timeout
   */
  askTask(
    taskId: string,
    path: string,
    signal: AbortSignal,
    input?: AsyncIterable<TerminalInput>,
  ): Promise<NodeAnswer>;
  /**
   * Asks a node about itself, through its session: `about`, `health`, `reach?…`, `upgrade?…`.
   * @throws FleetError not-found, unavailable naming the node, timeout
   */
  askNode(nodeId: string, path: string, signal: AbortSignal): Promise<NodeAnswer>;
  /** The same of this node, which needs no cluster for it. */
  askSelf(path: string, signal: AbortSignal): Promise<NodeAnswer>;
  /** Places on networks of the cluster for containers that a person runs on this node, also on a worker. */
  readonly attachments: {
    find(reference: string): Promise<{ readonly id: string; readonly name: string } | undefined>;
    /** @throws FleetError saying why there is no place */
    attach(request: AttachRequest, signal: AbortSignal): Promise<AttachedPlace>;
    /**
     * A container that has places starts: its places, each with an address.
     * @throws FleetError unavailable: no manager can be asked; conflict: a network has no free address
     */
    started(
      request: { containerId?: string; taskIds: readonly string[] },
      signal: AbortSignal,
    ): Promise<readonly (AttachedPlace & { readonly network: string })[]>;
    release(
      request: { networkId?: string; containerId?: string; taskIds: readonly string[] },
    ): Promise<void>;
  };
  /**
   * A connection to the engine of a task's node on which it is sent a request about the task's container: the
   * head here, the body by the caller; the answer is the engine's own, head included.
   * @throws FleetError as `askTask`
   */
  converse(
    taskId: string,
    path: string,
    head: {
      readonly method: string;
      readonly headers: readonly (readonly [string, string])[];
    },
    signal: AbortSignal,
  ): Promise<Duplex>;
  /** Every change applied on this manager; the function returned ends it. */
  watch(listener: (changes: readonly Applied[]) => void): () => void;
  /** fleet's own additions to Docker's API, served under /fleet/. */
  readonly build: { version: string; commit: string; buildKind: string; denoVersion: string };
  log(level: LogLevel, message: string): void;
}
