import { RaftEndpoint } from "../../src/adapters/rpc/raft_transport.ts";
import { Routes } from "../../src/adapters/rpc/routes.ts";
import { listenRpc } from "../../src/adapters/rpc/server.ts";
import { rpcDialer } from "../../src/adapters/rpc/client.ts";
import {
  CLUSTER,
  FixedCredentials,
  issue,
  makeCa,
  systemClock,
} from "../../src/adapters/rpc/test_support.ts";
import type { TestCa } from "../../src/adapters/rpc/test_support.ts";
import type { RpcCaller, RpcListener, TlsCredentials } from "../../src/adapters/rpc/types.ts";
import { silentLogger } from "../../src/base/log.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { Manager } from "../../src/roles/manager/manager.ts";
import type { ManagerOptions } from "../../src/roles/manager/manager.ts";
import { registerManagerRoutes } from "../../src/roles/node/manager_routes.ts";
import type { ManagerRoutesOptions } from "../../src/roles/node/manager_routes.ts";
import { memoryRaftLog } from "./memory_raft_log.ts";
import { TestCluster } from "./test_cluster.ts";

const TICK_MS = 50;

/** One manager that listens on loopback. */
export interface RealManager {
  readonly id: string;
  readonly address: string;
  readonly manager: Manager;
  stop(): Promise<void>;
}

interface Place {
  readonly id: string;
  readonly credentials: TlsCredentials;
  readonly endpoint: RaftEndpoint;
  readonly listener: RpcListener;
  manager: Manager | undefined;
}

/** Managers in this process that speak to each other by mutual TLS on loopback, on the system's clock. */
export class RealManagers implements AsyncDisposable {
  readonly #ca: TestCa;
  readonly #places = new Map<string, Place>();
  readonly #cluster = new TestCluster();
  readonly #voters: readonly string[];
  #seed = 1;

  private constructor(ca: TestCa, voters: readonly string[]) {
    this.#ca = ca;
    this.#voters = voters;
  }

  /** The places of `voters`, and nodes `workers` in the store; nobody runs yet. */
  static async prepare(
    voters: readonly string[],
    { workers = [] }: { workers?: readonly string[] } = {},
  ): Promise<RealManagers> {
    const self = new RealManagers(await makeCa(), voters);
    for (const id of voters) {
      await self.listen(id);
      self.#cluster.addNode(id, {
        Role: "manager",
        Spec: { Labels: {}, Role: "manager", Availability: "active" },
        ManagerAddr: self.address(id),
      });
    }
    for (const id of workers) {
      self.#cluster.addNode(id, {
        Role: "worker",
        Spec: { Labels: {}, Role: "worker", Availability: "active" },
      });
    }
    return self;
  }

  address(id: string): string {
    return this.#places.get(id)!.listener.address;
  }

  credentials(id: string): Promise<TlsCredentials> {
    return issue(this.#ca, { cn: id, ou: "swarm-manager" });
  }

  async listen(id: string): Promise<void> {
    const credentials = await this.credentials(id);
    const endpoint = new RaftEndpoint({
      clock: systemClock,
      random: new SeededRandom(this.#seed++),
      logger: silentLogger,
    });
    const routes = new Routes();
    endpoint.register(routes);
    registerManagerRoutes(routes, {
      manager: () => this.#places.get(id)?.manager,
      trust: {} as ManagerRoutesOptions["trust"],
      clock: systemClock,
      logger: silentLogger,
    });
    const listener = await listenRpc({
      address: "127.0.0.1:0",
      credentials: new FixedCredentials(credentials),
      clusterId: CLUSTER,
      routes,
      clock: systemClock,
      logger: silentLogger,
    });
    this.#places.set(id, { id, credentials, endpoint, listener, manager: undefined });
  }

  /** Starts a voter on the cluster's first state, or one that joined at `joinedIndex` on an empty log. */
  async start(
    id: string,
    joined?: Pick<ManagerOptions, "joinedIndex" | "knownManagers">,
  ): Promise<RealManager> {
    const place = this.#places.get(id)!;
    const dialer = this.dialer(place.credentials);
    const conf = { voters: [...this.#voters], learners: [] };
    const manager = new Manager({
      nodeId: id,
      addr: place.listener.address,
      log: joined ? await memoryRaftLog() : await memoryRaftLog(this.#cluster, conf),
      openTransport: (inbox, run) => place.endpoint.open({ nodeId: id, run, dialer, inbox }),
      dialer,
      trust: {} as ManagerOptions["trust"],
      external: {} as ManagerOptions["external"],
      clock: systemClock,
      random: new SeededRandom(this.#seed++),
      logger: silentLogger,
      defer: (fn) => queueMicrotask(fn),
      knownManagers: joined?.knownManagers ?? [],
      joinedIndex: joined?.joinedIndex ?? 0,
      tickMs: TICK_MS,
      createLeaderWork: () => ({ start: () => {} }) as never,
      onBlocked: () => {},
      onFailure: (error) => {
        throw error;
      },
      onRemoved: () => {},
    });
    place.manager = manager;
    manager.start();
    return { id, address: place.listener.address, manager, stop: () => this.#stop(place) };
  }

  dialer(credentials: TlsCredentials) {
    return rpcDialer({
      credentials: new FixedCredentials(credentials),
      clusterId: CLUSTER,
      clock: systemClock,
    });
  }

  /** A connection to `id` of somebody with a manager's certificate for `as`. */
  async dial(id: string, as: string): Promise<RpcCaller> {
    return await this.dialer(await this.credentials(as)).connect(this.address(id));
  }

  async #stop(place: Place): Promise<void> {
    await place.manager?.stop();
    place.manager = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of this.#places.values()) {
      await this.#stop(place);
      await place.listener.close();
    }
  }
}
