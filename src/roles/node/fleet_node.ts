import type {
  Backend,
  InitRequest,
  JoinRequest,
  LocalState,
  ManagerState,
  RestoreRequest,
} from "../../api/backend.ts";
import { FleetError, kindOf, messageOf } from "../../base/errors.ts";
import type { LogLevel } from "../../base/log.ts";
import type { ControlArgs, ControlMethod, ControlResult } from "../../core/control/methods.ts";
import { initialClusterSpec } from "../../core/control/cluster.ts";
import type { BackupFacts } from "../../model/backup.ts";
import type { Role } from "../../model/node.ts";
import { clusterOf } from "../../model/view.ts";
import type { Applied, View } from "../../model/view.ts";
import { Manager } from "../manager/manager.ts";
import type { MemoryStorage } from "../manager/member_memory.ts";
import type { RaftLog } from "../manager/raft_runner.ts";
import {
  foundersAddresses,
  joinersAddress,
  resolveAdvertiseAddress,
  resolveDataPathAddress,
  resolveListenAddress,
} from "./addresses.ts";
import { Attachments } from "./attachments.ts";
import {
  forgetIdentity,
  HeldCredentials,
  loadIdentity,
  saveCredentials,
  saveIdentity,
} from "./identity.ts";
import type { Identity } from "./identity.ts";
import { checkAvailability } from "./admission.ts";
import { agentHost } from "./agent_host.ts";
import type { FleetNodeOptions } from "./node_options.ts";
import type { Credentials } from "./ports.ts";

export type { AgentHost, FleetNodeOptions, RunningAgent } from "./node_options.ts";
import { forceNewCluster } from "../manager/force_new_cluster.ts";
import * as backups from "./backup.ts";
import { createManager } from "./create_manager.ts";
import { callLeader } from "./leader_dial.ts";
import { foundCluster } from "./founding.ts";
import { joinCluster } from "./joining.ts";
import { leaveCluster, refuseLeave, refuseLeaveOutside } from "./leaving.ts";
import { listenForNodes } from "./node_listener.ts";
import { heardManagersState, managersState, memberState, outsideState } from "./local_state.ts";
import { prepareRunning } from "./prepare_running.ts";
import { ALREADY_IN, LOCKED, NOT_A_MANAGER, WORKER } from "./sentences.ts";
import { followUnlockKey, unlockKeys } from "./autolock.ts";
import { halt, managerAddresses } from "./running.ts";
import type { Running } from "./running.ts";
import type { TaskAnswer } from "../task_answer.ts";
import { askTask, converseWithTask } from "./task_questions.ts";

/**
 * One machine in, or not yet in, a cluster: owns the identity and starts and stops the agent and the
 * manager as the identity says. The API talks to it.
 */
export class FleetNode implements Backend {
  readonly build: Backend["build"];
  readonly attachments = new Attachments(() => this.#member());
  readonly #options: FleetNodeOptions;
  readonly #watchers = new Set<(changes: readonly Applied[]) => void>();
  #running: Running | undefined;
  #changing = false;
  #error = "";

  constructor(options: FleetNodeOptions) {
    this.#options = options;
    this.build = options.build;
  }

  /** Resumes the stored membership, if any. */
  async start(): Promise<void> {
    if (this.#options.lock.locked) {
      return this.#options.logger.log("warn", "this manager is locked: fleet unlock");
    }
    const stored = this.#running
      ? undefined
      : loadIdentity(this.#options.files, this.#options.trust);
    if (!stored) return;
    await this.#exclusively(() =>
      this.#resume(stored.identity, new HeldCredentials(stored.credentials))
    );
  }

  /** Stops everything but the containers. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running) await halt(running);
  }

  /**
   * Takes the certificate and key from the data directory again, for open connections from their next
   * handshake on. @throws FleetError corrupt, and keeps what it has
   */
  reloadCredentials(): void {
    const running = this.#running;
    const stored = running && loadIdentity(this.#options.files, this.#options.trust);
    if (!stored || stored.identity.nodeId !== running.identity.nodeId) return;
    const { trust, clock } = this.#options;
    trust.verify(stored.credentials.certPem, stored.credentials.caPem, clock.now());
    running.credentials.replace(stored.credentials);
  }

  localState(): LocalState {
    if (this.#running) return memberState(this.#running, this.#error, this.#options.trust);
    const state = this.#changing
      ? "pending"
      : this.#error
      ? "error"
      : this.#options.lock.locked
      ? "locked"
      : "inactive";
    return outsideState(state, this.#error);
  }

  managerState(): ManagerState {
    return managersState(this.#manager());
  }

  async managersHeard(signal: AbortSignal): Promise<ManagerState> {
    return await heardManagersState(this.#manager(), signal);
  }

  async init(request: InitRequest): Promise<string> {
    if (request.ForceNewCluster) return await this.#forceNewCluster(request);
    this.#assertOutside();
    const { trust, clock, random } = this.#options;
    const addresses = foundersAddresses(request, this.#options);
    if (request.Spec) initialClusterSpec(request.Spec);
    const availability = checkAvailability(request.Availability);
    await this.#options.checkEngine();
    return await this.#exclusively(async () => {
      const { identity, credentials, foundation } = foundCluster({
        request,
        ...addresses,
        availability,
        trust,
        random,
        nowMs: clock.now(),
      });
      return await this.#found(
        identity,
        credentials,
        (log) => Manager.found(log, identity.nodeId),
        (manager) => manager.bootstrap(foundation),
      );
    });
  }

  /** Becomes the only manager of a cluster whose log `fill` begins. */
  async #found(
    identity: Identity,
    credentials: Credentials,
    fill: (log: RaftLog) => Promise<void>,
    write: (manager: Manager) => Promise<void>,
  ): Promise<string> {
    await this.#enter(identity, credentials, async (running) => {
      running.listener = await listenForNodes(this.#options, running);
      this.#options.wipeLog();
      const log = this.#options.openLog(true);
      running.log = log;
      await fill(log);
      this.#startManager(running, log);
      await write(running.manager!);
    });
    return identity.nodeId;
  }

  /** Becomes a member, in the way of which `begin` is the beginning; a failure leaves nothing behind. */
  async #enter(
    identity: Identity,
    credentials: Credentials,
    begin: (running: Running) => Promise<void>,
  ): Promise<void> {
    const { files } = this.#options;
    const running = this.#prepare(identity, new HeldCredentials(credentials));
    try {
      await begin(running);
      saveCredentials(files, credentials);
      saveIdentity(files, running.identity);
      await this.#startAgent(running);
    } catch (error) {
      await halt(running);
      forgetIdentity(files);
      this.#options.wipeLog();
      throw error;
    }
    this.#running = running;
  }

  async backup(passphrase: string): Promise<Uint8Array> {
    const { archive, clock } = this.#options;
    const manager = this.#manager();
    const facts = { version: this.build.version, nowMs: clock.now() };
    const content = await backups.backupContent(manager, this.#running!.identity, facts);
    return await archive.seal(content, passphrase);
  }

  async backupFacts(file: Uint8Array, passphrase: string): Promise<BackupFacts> {
    return backups.backupFacts(
      backups.readBackup(await this.#options.archive.open(file, passphrase)),
    );
  }

  async restore(file: Uint8Array, request: RestoreRequest): Promise<BackupFacts> {
    this.#assertOutside();
    const { archive, trust, clock, checkEngine } = this.#options;
    const backup = backups.readBackup(await archive.open(file, request.passphrase));
    const identity = backups.restoredIdentity(backup, request, this.#options);
    await checkEngine();
    await this.#exclusively(() =>
      this.#found(
        identity,
        backups.restoredCredentials(backup, trust, clock.now()),
        (log) => Promise.resolve(backups.fillRestoredLog(log, backup)),
        (manager) => manager.reorganise((tx) => backups.beginAgain(tx, identity)),
      )
    );
    return backups.backupFacts(backup);
  }

  /** A cluster of one manager from this manager's data; services, tokens and CA stay. */
  async #forceNewCluster(request: InitRequest): Promise<string> {
    const before = this.#running;
    if (!before?.manager) {
      throw new FleetError(
        "unavailable",
        "--force-new-cluster recovers a cluster from a manager's data, and this node is no manager; run it on a manager that is left",
      );
    }
    const { interfaces, files } = this.#options;
    const advertiseAddr = request.AdvertiseAddr
      ? resolveAdvertiseAddress({
        given: request.AdvertiseAddr,
        listen: before.identity.listenAddr,
        interfaces,
      })
      : before.identity.advertiseAddr;
    return await this.#exclusively(async () => {
      this.#running = undefined;
      await halt(before);
      const { nodeId } = before.identity;
      const log = this.#options.openLog(false);
      try {
        await forceNewCluster(log, nodeId);
      } finally {
        log.close();
      }
      const identity = {
        ...before.identity,
        advertiseAddr,
        managers: [{ nodeId, addr: advertiseAddr }],
      };
      saveIdentity(files, identity);
      await this.#resume(identity, before.credentials);
      await this.#running!.manager!.reorganise((tx) => backups.beginAgain(tx, identity));
      return nodeId;
    });
  }

  async join(request: JoinRequest): Promise<void> {
    this.#assertOutside();
    const { interfaces, network, trust, clock } = this.#options;
    const listenAddr = resolveListenAddress(
      request.ListenAddr || this.#options.listenAddr,
      interfaces,
    );
    const availability = checkAvailability(request.Availability);
    const advertise = (manager: boolean) =>
      joinersAddress({ given: request.AdvertiseAddr, listen: listenAddr, interfaces }, manager);
    const dataPath = (advertise: string) =>
      resolveDataPathAddress(request.DataPathAddr, advertise, interfaces);
    if (request.AdvertiseAddr) advertise(true);
    dataPath(listenAddr);
    await this.#options.checkEngine();
    await this.#exclusively(async () => {
      const { reply, credentials, managerAddr } = await joinCluster({
        remoteAddrs: request.RemoteAddrs ?? [],
        token: request.JoinToken ?? "",
        availability,
        network,
        trust,
        nowMs: clock.now(),
      });
      const advertiseAddr = advertise(reply.role === "manager");
      const identity: Identity = {
        nodeId: reply.nodeId,
        clusterId: reply.clusterId,
        role: reply.role,
        listenAddr,
        advertiseAddr,
        // Of several addresses a worker's is the one that it reaches the managers with.
        dataPathAddr: dataPath(advertiseAddr) || await interfaces.towards(managerAddr) || "0.0.0.0",
        managers: [{ nodeId: "", addr: managerAddr }],
      };
      this.#options.wipeLog();
      await this.#enter(identity, credentials, async (running) => {
        if (reply.role === "manager") await this.#becomeManager(running);
      });
    });
  }

  async leave(force: boolean): Promise<void> {
    const running = this.#running;
    if (!running) {
      const { locked } = this.#options.lock;
      if (force && (this.#error || locked)) {
        this.#forget();
        return;
      }
      refuseLeaveOutside({ locked, error: this.#error });
    }
    if (running.manager && !force) await refuseLeave(running.manager);
    await this.#exclusively(async () => {
      if (running.manager) {
        await leaveCluster(running.manager, running.dialer, this.#options.logger);
      }
      this.#running = undefined;
      const agent = running.agent;
      await halt(running);
      await agent?.removeTasks().catch((error: unknown) => {
        this.#options.logger.log("warn", "some containers could not be removed", {
          error: messageOf(error),
        });
      });
      this.#forget();
    });
  }

  async unlock(key: string): Promise<void> {
    unlockKeys(this.#options.lock, key, this.#running !== undefined);
    await this.start();
  }

  async unlockKey(): Promise<string> {
    return (await this.read((view) => clusterOf(view)?.UnlockKey ?? "")).value;
  }

  async read<T>(read: (view: View) => T): Promise<{ value: T; stale: boolean }> {
    return await this.#manager().read(read);
  }

  async call<M extends ControlMethod>(
    method: M,
    args: ControlArgs<M>,
    signal?: AbortSignal,
    actor?: string,
  ): Promise<ControlResult<M>> {
    return await this.#manager().call(method, args, signal, actor);
  }

  askTask(...[taskId, path, signal, input]: Parameters<Backend["askTask"]>): Promise<TaskAnswer> {
    return askTask(this.#manager(), this.#running!.dialer, { taskId, path }, signal, input);
  }

  askNode(nodeId: string, path: string, signal: AbortSignal): Promise<TaskAnswer> {
    return askTask(this.#manager(), this.#running!.dialer, { taskId: "", nodeId, path }, signal);
  }

  converse(...question: Parameters<Backend["converse"]>): ReturnType<Backend["converse"]> {
    return converseWithTask(this.#manager(), this.#running!.dialer, ...question);
  }

  askSelf(path: string, signal: AbortSignal): Promise<TaskAnswer> {
    return this.#options.answers.answer(path, signal);
  }

  watch(listener: (changes: readonly Applied[]) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  log(level: LogLevel, message: string): void {
    this.#options.logger.log(level, message);
  }

  #member(): Running {
    if (this.#running) return this.#running;
    throw new FleetError("unavailable", this.#options.lock.locked ? LOCKED : NOT_A_MANAGER);
  }

  #manager(): Manager {
    const running = this.#running;
    if (!running && this.#error) {
      throw new FleetError("unavailable", `this node's manager does not run: ${this.#error}`);
    }
    if (!running) {
      const sentence = this.#options.lock.locked ? LOCKED : NOT_A_MANAGER;
      throw new FleetError("unavailable", sentence);
    }
    if (!running.manager) throw new FleetError("unavailable", WORKER);
    return running.manager;
  }

  #assertOutside(): void {
    if (this.#options.lock.locked) throw new FleetError("unavailable", LOCKED);
    if (this.#running || this.#error) {
      throw new FleetError("unavailable", ALREADY_IN);
    }
  }

  /** One change of membership at a time. */
  async #exclusively<T>(run: () => Promise<T>): Promise<T> {
    if (this.#changing) {
      throw new FleetError(
        "unavailable",
        "this node is just joining or leaving a cluster; try again",
      );
    }
    this.#changing = true;
    try {
      return await run();
    } finally {
      this.#changing = false;
    }
  }

  #prepare(identity: Identity, credentials: HeldCredentials): Running {
    return prepareRunning(this.#options, identity, credentials, {
      managers: managerAddresses,
      onRole: (running, role) => this.#onRole(running, role),
    });
  }

  async #resume(identity: Identity, credentials: HeldCredentials): Promise<void> {
    const running = this.#prepare(identity, credentials);
    try {
      if (identity.role === "manager") {
        running.listener = await listenForNodes(this.#options, running);
        const log = this.#options.openLog(false);
        running.log = log;
        this.#startManager(running, log);
      }
      await this.#startAgent(running);
    } catch (error) {
      await halt(running);
      this.#error = messageOf(error);
      throw error;
    }
    this.#error = "";
    this.#running = running;
  }

  #startManager(running: Running, log: RaftLog & MemoryStorage): void {
    const manager = createManager(
      this.#options,
      running,
      log,
      (error) => this.#onFailure(running, error),
    );
    manager.store.onApply((changes) => {
      for (const watcher of this.#watchers) watcher(changes);
    });
    running.manager = manager;
    manager.start();
    const { lock, rotateDataKey, logger } = this.#options;
    followUnlockKey(manager, lock, rotateDataKey, logger);
  }

  /**
   * Data that cannot be trusted will not get better by a restart: the node leaves service and says why, and a
   * person can look and leave. Anything else may, so the process ends.
   */
  #onFailure(running: Running, error: unknown): void {
    if (kindOf(error) !== "corrupt") return this.#options.onFatal(error);
    const { logger } = this.#options;
    if (running.failure !== undefined) return;
    running.failure = error;
    this.#error = messageOf(error);
    logger.log("error", this.#error);
    if (this.#running === running) this.#running = undefined;
    halt(running).catch((failure: unknown) =>
      logger.log("warn", "not everything stopped cleanly", { error: messageOf(failure) })
    );
  }

  async #startAgent(running: Running): Promise<void> {
    running.renewal.start();
    running.agent = await this.#options.startAgent(agentHost(this.#options, running));
    if (running.failure !== undefined) throw running.failure;
  }

  /** Asks the leader to take this node into the consensus group, then starts the manager. */
  async #becomeManager(running: Running): Promise<void> {
    if (!running.listener) running.listener = await listenForNodes(this.#options, running);
    const addr = running.identity.advertiseAddr;
    const reply = await callLeader(
      running.dialer,
      managerAddresses(running),
      "raft.join",
      { addr },
    ) as {
      managers: { nodeId: string; addr: string }[];
      joinedIndex: number;
    };
    running.identity = { ...running.identity, role: "manager", ...reply };
    const log = this.#options.openLog(true);
    running.log = log;
    this.#startManager(running, log);
  }

  /** A renewed certificate carries the role that the cluster wants this node to have. */
  async #onRole(running: Running, role: Role): Promise<void> {
    if (role === running.identity.role && (role === "worker") === (running.manager === undefined)) {
      return;
    }
    if (role === "manager" && !running.manager) {
      await this.#becomeManager(running);
    } else if (role === "worker" && running.manager) {
      const { manager, listener, log } = running;
      const managers = manager.members().filter((m) => m.nodeId !== running.identity.nodeId)
        .map(({ nodeId, addr }) => ({ nodeId, addr }));
      running.identity = { ...running.identity, role: "worker", managers };
      running.manager = undefined;
      running.listener = undefined;
      running.log = undefined;
      await manager.stop();
      await listener?.close();
      log?.close();
      this.#options.wipeLog();
      // Workers hold nothing that would be worth a key.
      this.#options.lock.setUnlockKey(undefined);
    }
    running.identity = { ...running.identity, role };
    saveIdentity(this.#options.files, running.identity);
  }

  #forget(): void {
    this.#error = "";
    forgetIdentity(this.#options.files);
    this.#options.wipeLog();
  }
}
