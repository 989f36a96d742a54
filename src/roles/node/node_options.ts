import type { Backend } from "../../api/backend.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Meter } from "../../base/meter.ts";
import type { Random } from "../../base/random.ts";
import type { Tracer } from "../../base/tracer.ts";
import type { Role, TLSInfo } from "../../model/node.ts";
import type { Task } from "../../model/task.ts";
import type { ExternalCa } from "../manager/external_ca.ts";
import type { NodeAnswers } from "../agent/questions.ts";
import type { LeaderWork } from "../manager/leader_work.ts";
import type { Manager, ManagerTransport, RaftInbox } from "../manager/manager.ts";
import type { MemoryStorage, Run } from "../manager/member_memory.ts";
import type { RaftLog } from "../manager/raft_runner.ts";
import type { RouteTable, RpcDialer } from "../rpc.ts";
import type { Attachments } from "./attachments.ts";
import type {
  Archive,
  Credentials,
  Interfaces,
  KeyLock,
  NodeNetwork,
  StateFiles,
  Trust,
} from "./ports.ts";

/** The running agent of this node, as the node needs it. */
export interface RunningAgent {
  stop(): Promise<void>;
  /** Places on networks of the cluster of containers outside services that run here. */
  attached(): Promise<readonly Task[]>;
  /** Stops and removes every container of this cluster's tasks; after leaving. */
  removeTasks(): Promise<void>;
}

export interface AgentHost {
  readonly nodeId: string;
  /** Address of this machine that containers' frames go to. */
  readonly dataPathAddr: string;
  /** TCP port on which nodes talk to each other. */
  readonly apiPort: number;
  readonly dialer: RpcDialer;
  /** Addresses to try for a session, best first. */
  managers(): readonly string[];
  /** The session told who the managers are and which role this node has. */
  onSession(session: {
    managers: readonly { nodeId: string; addr: string }[];
    role: Role;
    renewCertificate: boolean;
    trustRoot?: string;
  }): void;
  /** What managers and users are told of this node's certificate. */
  tlsInfo(): TLSInfo;
  /** Places of this node's containers outside services on the cluster's networks. */
  readonly attachments: Pick<Attachments, "started" | "stopped">;
  /** Calls `listener` when that has changed; the function returned ends it. */
  onTlsChange(listener: () => void): () => void;
}

export interface FleetNodeOptions {
  readonly build: Backend["build"];
  readonly files: StateFiles;
  /** The same files, as far as they can be sealed. */
  readonly lock: KeyLock;
  /** Gives this node's databases another key, in the background; tells failures by itself. */
  readonly rotateDataKey: () => Promise<void>;
  readonly trust: Trust;
  /** CAs outside of the cluster, which are shown the given certificate. */
  readonly externalCa: (credentials: () => Credentials) => ExternalCa;
  readonly archive: Archive;
  /** What this node says of itself. */
  readonly answers: NodeAnswers;
  readonly network: NodeNetwork;
  readonly interfaces: Interfaces;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter?: Meter | undefined;
  readonly tracer?: Tracer | undefined;
  /** Told of every manager that is made: at the start, and when this node becomes one. */
  readonly onManager?: (manager: Manager) => void;
  readonly defer: (fn: () => void) => void;
  readonly tickMs: number;
  /** From `--listen-addr`; init and join may say otherwise. */
  readonly listenAddr: string;
  /** Opens the durable log; `fresh` refuses to find an old one. */
  readonly openLog: (fresh: boolean) => RaftLog & MemoryStorage & { close(): void };
  readonly wipeLog: () => void;
  readonly openTransport: (
    options: { nodeId: string; run: Run; dialer: RpcDialer; inbox: RaftInbox },
  ) => ManagerTransport;
  /** Lets the transport register the route on which it receives. */
  readonly registerTransport: (table: RouteTable) => void;
  readonly createLeaderWork: (manager: Manager) => LeaderWork;
  readonly startAgent: (host: AgentHost) => Promise<RunningAgent>;
  /** @throws FleetError unavailable when the engine is not there or has its own swarm mode on */
  readonly checkEngine: () => Promise<void>;
  /** The node cannot go on (damaged log, full disk at start); the process should end. */
  readonly onFatal: (error: unknown) => void;
}
