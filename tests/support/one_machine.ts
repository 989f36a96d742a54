import * as crypto from "../../src/adapters/crypto/certificates.ts";
import { stateFiles } from "../../src/adapters/host/data_directory.ts";
import { DataKeys } from "../../src/adapters/host/data_keys.ts";
import { SealableFiles } from "../../src/adapters/host/sealable_files.ts";
import { RaftLogStore } from "../../src/adapters/sqlite/raft_log_store.ts";
import { FleetError } from "../../src/base/errors.ts";
import type { LogLevel } from "../../src/base/log.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { formatJoinToken } from "../../src/core/pki/join_token.ts";
import type { Role } from "../../src/model/node.ts";
import type { IssueReply } from "../../src/roles/manager/certificate_authority.ts";
import { FleetNode } from "../../src/roles/node/fleet_node.ts";
import type { AgentHost, FleetNodeOptions } from "../../src/roles/node/fleet_node.ts";
import type { NodeNetwork, Trust } from "../../src/roles/node/ports.ts";
import type { RpcCaller } from "../../src/roles/rpc.ts";
import { ManualClock } from "./manual_clock.ts";

const DAY_MS = 86_400_000;
/** A manager of another cluster that lets everybody in. */
export const MANAGER_ELSEWHERE = "10.0.0.9:2377";
/** Steps of time until something must have happened. */
const MAX_STEPS = 2_000;

/** The sentence of a disk that is full, and its kind. */
export const FULL = new FleetError("unavailable", "no space left for raft.db: free some space");

/**
 * A machine with a real data directory (files, keys, log), and nothing real besides: one node on virtual time,
 * started and stopped as often as a test likes, and another cluster's manager that it may join.
 */
export class OneMachine {
  readonly clock = new ManualClock();
  readonly folder: string;
  address = "10.0.0.1";
  readonly lines: { level: LogLevel; message: string }[] = [];
  /** What goes wrong now. */
  readonly trouble = {
    /** Opening a log throws this. */
    open: undefined as Error | undefined,
    /** Writing to a log throws this. */
    write: undefined as Error | undefined,
    /** Writing a state file of this name throws {@link FULL}. */
    file: "",
    /** Starting the agent throws this. */
    agent: undefined as Error | undefined,
    stopAgent: undefined as Error | undefined,
  };
  checkEngine: () => Promise<void> = () => Promise.resolve();
  /** The agent's side of the node that was started last. */
  agentHost: AgentHost | undefined;
  role: Role = "worker";
  /** Calls to the manager elsewhere. */
  readonly calls: string[] = [];
  readonly #trust: Trust = {
    ...crypto,
    verify: crypto.verifyCertificate,
    equal: crypto.equalTexts,
  };
  readonly #root = this.#trust.createRootCa(this.clock.now());
  readonly #random = new SeededRandom(7);

  constructor(folder: string) {
    this.folder = folder;
  }

  get token(): string {
    return formatJoinToken(this.#trust.caDigest(this.#root.certPem), new Uint8Array(16));
  }

  path = (name: string) => `${this.folder}/${name}`;

  /** The state of everything that lies in the data directory. */
  files(): Record<string, string> {
    const found = [...Deno.readDirSync(this.folder)].map(({ name }) => name)
      .filter((name) => !/-(wal|shm)$/.test(name)).sort();
    return Object.fromEntries(
      found.map((name) => [name, Deno.readFileSync(this.path(name)).toBase64()]),
    );
  }

  /** Lets time pass until `promise` is settled. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const watched = promise.finally(() => over = true);
    watched.catch(() => {});
    for (let i = 0; i < MAX_STEPS && !over; i++) {
      // Files, and what is done with them, are not on virtual time.
      await new Promise((resolve) => setImmediate(resolve));
      await this.clock.advance(10);
    }
    if (!over) throw new Error("it does not end");
    return await watched;
  }

  /** The agent's process as it was started anew. */
  async boot(): Promise<FleetNode> {
    const node = this.#node();
    await this.settled(node.start());
    return node;
  }

  #node(): FleetNode {
    const { clock, trouble } = this;
    const plain = stateFiles(this.folder);
    const files = new SealableFiles({
      ...plain,
      write: (name, text) => {
        if (name === trouble.file) throw FULL;
        plain.write(name, text);
      },
    });
    const logger = {
      log: (level: LogLevel, message: string) => void this.lines.push({ level, message }),
      with: () => logger,
    };
    const path = this.path("raft.db");
    const keys = new DataKeys({ files, paths: [path], exists: existsSync, logger });
    const options: Partial<FleetNodeOptions> = {
      build: { version: "0.0.1" } as FleetNodeOptions["build"],
      files,
      lock: files,
      rotateDataKey: () => keys.rotate(),
      trust: this.#trust,
      externalCa: () => ({}) as never,
      network: this.#network(),
      interfaces: {
        list: () => [{ name: "eth0", address: this.address }],
        towards: () => Promise.resolve(this.address),
      },
      clock,
      random: this.#random,
      logger,
      defer: (fn) => queueMicrotask(fn),
      tickMs: 100,
      listenAddr: "",
      openLog: (fresh) => {
        if (trouble.open) throw trouble.open;
        const log = fresh
          ? RaftLogStore.create(path, keys.keys())
          : RaftLogStore.open(path, keys.keys());
        const append = log.append.bind(log);
        log.append = (batch) => {
          if (trouble.write) throw trouble.write;
          append(batch);
        };
        return log as ReturnType<FleetNodeOptions["openLog"]>;
      },
      wipeLog: () => RaftLogStore.remove(path),
      openTransport: () => ({
        send: () => {},
        setPeers: () => {},
        connected: () => false,
        close: () => {},
      }),
      registerTransport: () => {},
      createLeaderWork: () => ({ start: () => {} }) as never,
      startAgent: (host) => {
        if (trouble.agent) return Promise.reject(trouble.agent);
        this.agentHost = host;
        return Promise.resolve({
          stop: () => trouble.stopAgent ? Promise.reject(trouble.stopAgent) : Promise.resolve(),
          attached: () => Promise.resolve([]),
          removeTasks: () => Promise.resolve(),
        });
      },
      checkEngine: () => this.checkEngine(),
      onFatal: (error) => {
        throw error;
      },
    };
    return new FleetNode(options as FleetNodeOptions);
  }

  #network(): NodeNetwork {
    const caller = () =>
      ({
        call: (route: string, body: { csr: string }) => Promise.resolve(this.#answer(route, body)),
        close: () => {},
      }) as unknown as RpcCaller;
    return {
      listen: ({ address }) =>
        Promise.resolve({
          address,
          closeConnectionsOf: () => {},
          close: () => Promise.resolve(),
        }),
      dialer: () => ({ connect: () => Promise.resolve(caller()) }),
      dialAnonymously: () => Promise.resolve(caller()),
    };
  }

  /** What the manager elsewhere says. */
  #answer(route: string, { csr }: { csr: string }): unknown {
    this.calls.push(route);
    switch (route) {
      case "ca.root":
        return { caPem: this.#root.certPem, nowMs: this.clock.now() };
      case "ca.issue":
        return this.#sign(csr);
      case "cluster.leader":
        return { nodeId: "m9", addr: MANAGER_ELSEWHERE };
      case "raft.join":
        return { managers: [{ nodeId: "m9", addr: MANAGER_ELSEWHERE }], joinedIndex: 5 };
    }
    throw new Error(`nobody answers ${route}`);
  }

  #sign(csrPem: string): IssueReply {
    const names = { nodeId: "n1", clusterId: "c9", role: this.role };
    const { certPem } = this.#trust.issue({
      ...names,
      caCertPem: this.#root.certPem,
      caKeyPem: this.#root.keyPem,
      csrPem,
      nowMs: this.clock.now(),
      validityMs: 90 * DAY_MS,
    });
    return { ...names, certPem, caPem: this.#root.certPem };
  }
}

function existsSync(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Runs with such a machine, whose data directory is removed afterwards. */
export async function withMachine(run: (machine: OneMachine) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet_node_test_" });
  try {
    await run(new OneMachine(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
