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
import { clusterOf } from "../../model/view.ts";
import type { Applied, View } from "../../model/view.ts";
import { Manager } from "../manager/manager.ts";
import type { RaftLog } from "../manager/raft_runner.ts";
import {
  foundersAddresses,
  joinersAddress,
  recoveredAddresses,
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
import { foundCluster } from "./founding.ts";
import { joinCluster } from "./joining.ts";
import { assertNothingStored, notStarted, storedMembership } from "./stored_membership.ts";
import { checkLeave, containersThatLose, leaveCluster, refuseLeaveOutside } from "./leaving.ts";
import { listenForNodes } from "./node_listener.ts";
import { heardManagersState, managersState, memberState, outsideState } from "./local_state.ts";
import { prepareRunning } from "./prepare_running.ts";
import { ALREADY_IN, LOCKED, NOT_A_MANAGER, WORKER } from "./sentences.ts";
import { followUnlockKey, unlockKeys } from "./autolock.ts";
import { becomeManager, changeRole } from "./role_change.ts";
import type { StartManager } from "./role_change.ts";
import { halt, managerAddresses } from "./running.ts";
import type { Running } from "./running.ts";
import type { TaskAnswer } from "../task_answer.ts";
import { askTask, converseWithTask } from "./task_questions.ts";

/** What keeps a member from starting now may be over after this. */
const START_RETRY_MS = 3_000;

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
  /** Why this node, a member, does not run as one. */
  #error = "";
  #cancelStart: () => void = () => {};

  constructor(options: FleetNodeOptions) {
    this.#options = options;
    this.build = options.build;
  }

  /**
   * Resumes the stored membership, if any. What keeps it from that is told by `localState` and by the log, and it
   * is tried again unless the data cannot be trusted; the API stays up, so that a person can look and leave.
   */
  async start(): Promise<void> {
    if (this.#running || this.#changing) return;
    if (this.#options.lock.locked) {
      return this.#options.logger.log("warn", "this manager is locked: fleet unlock");
    }
    await this.#exclusively(() => this.#resumeStored()).catch(() => {});
  }

  /** Stops everything but the containers. */
  async stop(): Promise<void> {
    this.#cancelStart();
    const running = this.#running;
    this.#running = undefined;
    if (running) await halt(running, this.#options.logger);
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
    return await this.#fromOutside(async () => {
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
      await halt(running, this.#options.logger);
      this.#forget();
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
    await this.#fromOutside(() =>
      this.#found(
        identity,
        backups.restoredCredentials(backup, trust, clock.now()),
        (log) => Promise.resolve(backups.fillRestoredLog(log, backup)),
        (manager) => manager.reorganise((tx) => backups.beginAgain(tx, identity)),
      )
    );
    return backups.backupFacts(backup);
  }

  /**
   * A cluster of one manager from this manager's data, also of one that could not start; services, tokens and
   * CA stay. A failure leaves the manager as it was: it goes on, or starts as soon as it can.
   */
  async #forceNewCluster(request: InitRequest): Promise<string> {
    return await this.#exclusively(async () => {
      const { identity: before, credentials } = this.#managerToRecover();
      const addresses = recoveredAddresses(request, before, this.#options.interfaces);
      const { nodeId } = before;
      const managers = [{ nodeId, addr: addresses.advertiseAddr }];
      const alone = { ...before, ...addresses, managers };
      await this.stop();
      const failures: unknown[] = [];
      const rewritten = await this.#rewriteLog(alone).catch((error: unknown) => {
        failures.push(error);
        return before;
      });
      await this.#resume(rewritten, credentials).catch((error: unknown) => failures.push(error));
      if (failures.length > 0) throw failures[0];
      await this.#running!.manager!.reorganise((tx) => backups.beginAgain(tx, alone));
      return nodeId;
    });
  }

  #managerToRecover(): { identity: Identity; credentials: HeldCredentials } {
    if (this.#options.lock.locked) throw new FleetError("unavailable", LOCKED);
    if (this.#running?.manager) return this.#running;
    const stored = this.#running ? undefined : storedMembership(this.#options);
    if (stored?.identity.role === "manager") {
      return { ...stored, credentials: new HeldCredentials(stored.credentials) };
    }
    throw new FleetError(
      "unavailable",
      "--force-new-cluster recovers a cluster from a manager's data, and this node is no manager; run it on a manager that is left",
    );
  }

  /** Makes the stored log, all or nothing, one of a cluster whose only manager is `alone`. */
  async #rewriteLog(alone: Identity): Promise<Identity> {
    const log = this.#options.openLog(false);
    try {
      await forceNewCluster(log, alone.nodeId);
    } finally {
      log.close();
    }
    saveIdentity(this.#options.files, alone);
    return alone;
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
    await this.#fromOutside(async () => {
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
        if (reply.role === "manager") {
          await becomeManager(this.#options, running, this.#startManager);
        }
      });
    });
  }

  async leave(force: boolean): Promise<void> {
    const running = this.#running;
    if (!running) {
      const { locked } = this.#options.lock;
      if (force && (this.#error || locked)) {
        return await this.#exclusively(() => Promise.resolve(this.#forget()));
      }
      refuseLeaveOutside({ locked, error: this.#error });
    }
    const lost = containersThatLose(await running.agent?.attached() ?? []);
    if (!force) await checkLeave(running.manager, lost);
    else if (lost) this.#options.logger.log("warn", `leaving by force: ${lost}`);
    await this.#exclusively(async () => {
      if (running.manager) {
        await leaveCluster(running.manager, running.dialer, this.#options.logger);
      }
      this.#running = undefined;
      const agent = running.agent;
      await halt(running, this.#options.logger);
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
    await this.#exclusively(() => this.#resumeStored());
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
    if (this.#running) throw new FleetError("unavailable", ALREADY_IN);
    if (this.#error) throw notStarted(this.#error);
    if (!this.#changing) assertNothingStored(this.#options);
  }

  /** Enters a cluster, which wipes what is left of earlier ones: only once it is sure that nothing is. */
  #fromOutside<T>(enter: () => Promise<T>): Promise<T> {
    return this.#exclusively(() => {
      this.#assertOutside();
      assertNothingStored(this.#options);
      return enter();
    });
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
      onRole: (running, role) => changeRole(this.#options, running, role, this.#startManager),
    });
  }

  async #resumeStored(): Promise<void> {
    if (this.#running) return;
    let stored;
    try {
      stored = loadIdentity(this.#options.files, this.#options.trust);
    } catch (error) {
      this.#outOfService(error);
      throw error;
    }
    this.#error = stored ? this.#error : "";
    if (stored) await this.#resume(stored.identity, new HeldCredentials(stored.credentials));
  }

  async #resume(identity: Identity, credentials: HeldCredentials): Promise<void> {
    let running: Running | undefined;
    try {
      running = this.#prepare(identity, credentials);
      if (identity.role === "manager") {
        running.listener = await listenForNodes(this.#options, running);
        const log = this.#options.openLog(false);
        running.log = log;
        this.#startManager(running, log);
      }
      await this.#startAgent(running);
    } catch (error) {
      if (running) await halt(running, this.#options.logger);
      this.#outOfService(error);
      throw error;
    }
    this.#error = "";
    this.#running = running;
  }

  /**
   * Data that cannot be trusted will not get better by another try. All else may: a disk does not stay full, a
   * port does not stay taken.
   */
  #outOfService(error: unknown): void {
    const { clock, logger } = this.#options;
    const sentence = messageOf(error);
    if (sentence !== this.#error) logger.log("error", sentence);
    this.#error = sentence;
    this.#cancelStart();
    if (kindOf(error) === "corrupt") return;
    this.#cancelStart = clock.after(START_RETRY_MS, () => void this.start());
  }

  readonly #startManager: StartManager = (running, log) => {
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
  };

  /**
   * Data that cannot be trusted will not get better by a restart: the node leaves service and says why, and a
   * person can look and leave. Anything else may, so the process ends.
   */
  #onFailure(running: Running, error: unknown): void {
    if (kindOf(error) !== "corrupt") return this.#options.onFatal(error);
    if (running.failure !== undefined) return;
    running.failure = error;
    this.#outOfService(error);
    if (this.#running === running) this.#running = undefined;
    void halt(running, this.#options.logger);
  }

  async #startAgent(running: Running): Promise<void> {
    running.renewal.start();
    running.agent = await this.#options.startAgent(agentHost(this.#options, running));
    if (running.failure !== undefined) throw running.failure;
  }

  #forget(): void {
    this.#cancelStart();
    this.#error = "";
    forgetIdentity(this.#options.files);
    this.#options.wipeLog();
  }
}
