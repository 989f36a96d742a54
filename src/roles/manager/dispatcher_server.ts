import type { Clock } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { ErrorKind } from "../../base/errors.ts";
import type { Group } from "../../base/group.ts";
import { newId } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import type { Meter } from "../../base/meter.ts";
import type { Tracer } from "../../base/tracer.ts";
import type { Random } from "../../base/random.ts";
import {
  assignmentsOf,
  completeAssignments,
  diffAssignments,
} from "../../core/dispatcher/assignments.ts";
import { ensureIngress } from "../../core/control/networks.ts";
import { networksOf } from "../../core/dispatcher/network_assignments.ts";
import { trustBundle } from "../../core/pki/roots.ts";
import { Sessions } from "../../core/dispatcher/sessions.ts";
import type { Now } from "../../core/dispatcher/sessions.ts";
import { applyStatusUpdates } from "../../core/dispatcher/status_updates.ts";
import type { MemoryStore } from "../../core/store/memory_store.ts";
import { decodeFromAgent } from "../../model/from_agent.ts";
import type { FromAgent, FromDispatcher } from "../../model/session.ts";
import type { Issuer } from "../../model/cluster.ts";
import { isAwaited } from "../../model/node.ts";
import { clusterOf } from "../../model/view.ts";
import { compareStates } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { Applied, Change, View } from "../../model/view.ts";
import type { RpcContext, RpcStream } from "../rpc.ts";
import { ingressPorts } from "../../model/service.ts";
import type { TaskAnswer, TaskInput, TaskQuestion } from "../task_answer.ts";
import { Drains } from "./drains.ts";
import { AskedTasks } from "./asked_tasks.ts";
import type { LeaderWork } from "./leader_work.ts";
import { isLostRace, runControlLoop } from "./control_loop.ts";
import type { Reconciler } from "./control_loop.ts";
import {
  allocatorReconciler,
  attachmentReconciler,
  auditReconciler,
  enforcerReconciler,
  orchestratorReconciler,
  reaperReconciler,
  rootRotationReconciler,
  schedulerReconciler,
  supersededReconciler,
} from "./reconcilers.ts";
import { rebalanceReconciler } from "./rebalancer.ts";
import { networkKeysReconciler } from "./network_keys.ts";
import { inParts } from "./in_parts.ts";
import { traceAssignments } from "./traced_changes.ts";
import type { Writer } from "./writer.ts";

export interface ClusterWorkOptions {
  readonly store: MemoryStore;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter?: Meter | undefined;
  readonly tracer?: Tracer | undefined;
  /** Managers by address, as agents are told. */
  readonly managers: () => readonly { readonly nodeId: string; readonly addr: string }[];
  /** Digest of a root as join tokens pin it. */
  readonly caDigest: (caPem: string) => string;
  /** What certificates of a root name as their issuer. */
  readonly caIssuer: (caPem: string) => Issuer;
}

/** Changes of one transaction, as in SwarmKit. */
const MAX_CHANGES = 200;
/** Differences gather this long before they go to a node. */
const ASSIGNMENT_DELAY_MS = 5;

/** All that the leader runs for the cluster: the control loops and the agents' sessions. */
export class ClusterWork implements LeaderWork {
  readonly #asked: AskedTasks;
  readonly #options: ClusterWorkOptions;
  readonly #sessions = new Sessions();
  readonly #connected = new Map<string, AgentSession>();
  readonly #drains = new Drains((taskId, owner) => this.#connected.get(owner)?.drained(taskId));
  #lookAtDeadlines: () => void = () => {};
  #group: Group | undefined;

  constructor(options: ClusterWorkOptions) {
    this.#options = options;
    this.#asked = new AskedTasks(options.clock, () => newId(options.random));
  }

  start(group: Group): void {
    const { store, writer, clock, random, logger, meter, tracer, caDigest, caIssuer } =
      this.#options;
    this.#group = group;
    const reconcilers: Reconciler[] = [
      allocatorReconciler(logger),
      attachmentReconciler(),
      orchestratorReconciler(random),
      schedulerReconciler(),
      reaperReconciler(random),
      supersededReconciler(),
      enforcerReconciler(random),
      auditReconciler(),
      networkKeysReconciler(random),
      rebalanceReconciler(random),
      rootRotationReconciler(
        { caDigest, issuerOf: caIssuer, randomBytes: (n) => random.bytes(n) },
        logger,
      ),
    ];
    const commit = (changes: readonly Change[], signal: AbortSignal) =>
      writer.write((tx) => {
        for (const change of changes) tx.perform(change);
      }, signal);
    for (const reconciler of reconcilers) {
      group.go(
        reconciler.name,
        (signal) =>
          runControlLoop({ reconciler, store, commit, clock, logger, meter, tracer }, signal),
      );
    }
    group.go("session deadlines", (signal) => this.#watchDeadlines(signal));
    const unsubscribe = store.onApply((changes) => this.#onApply(changes));
    group.signal.addEventListener("abort", () => {
      unsubscribe();
      for (const session of this.#connected.values()) {
        session.end("this manager does not lead any more");
      }
      this.#connected.clear();
    }, { once: true });
  }

  ask(
    question: TaskQuestion,
    signal: AbortSignal,
    input?: AsyncIterable<TaskInput>,
  ): Promise<TaskAnswer> {
    return this.#asked.ask(this.#options.store, question, this.#sender(question), signal, input);
  }

  converse(
    question: TaskQuestion,
    signal: AbortSignal,
  ): Promise<{ stream: RpcStream; finish: () => void }> {
    return this.#asked.open(this.#options.store, question, this.#sender(question), signal);
  }

  #sender(question: TaskQuestion): (nodeId: string, requestId: string) => boolean {
    return (nodeId, requestId) =>
      this.#connected.get(nodeId)?.ask({ ...question, requestId }) ?? false;
  }

  get silentNodes(): readonly string[] {
    return this.#sessions.silent;
  }

  get sessions(): number {
    return this.#connected.size;
  }

  serveAnswer(stream: RpcStream, context: RpcContext): Promise<void> {
    return this.#asked.serve(stream, context);
  }

  async serveSession(stream: RpcStream, context: RpcContext): Promise<void> {
    const { peer, remoteAddress } = context;
    if (peer.role === "anonymous") throw new FleetError("forbidden", "no certificate");
    const { nodeId } = peer;
    const addr = remoteAddress.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1").replace(
      /^::ffff:/,
      "",
    );
    const session = new AgentSession(
      nodeId,
      newId(this.#options.random),
      stream,
      this.#options,
      (sequence) => this.#drains.told(nodeId, sequence),
    );
    try {
      for await (const message of stream) {
        await this.#receive(session, decodeFromAgent(message), addr);
      }
    } catch (error) {
      // The node shall read why, and not only that it is over.
      if (error instanceof FleetError) session.end(error.message, error.kind);
      throw error;
    } finally {
      session.end("the session is over");
      if (this.#connected.get(nodeId) === session) this.#connected.delete(nodeId);
      if (this.#sessions.closed(nodeId, session.id, this.#now())) this.#lookAtDeadlines();
    }
  }

  async #receive(session: AgentSession, message: FromAgent, addr: string): Promise<void> {
    const { store, clock } = this.#options;
    switch (message.type) {
      case "hello": {
        if (!store.get("node", session.nodeId)) {
          throw new FleetError(
            "not-found",
            `node ${session.nodeId} is not a member of this cluster any more`,
          );
        }
        const { description } = message;
        if (session.open) {
          await this.#commit((view) =>
            this.#sessions.describe(view, session.nodeId, description, addr)
          );
          return;
        }
        if (!this.#sessions.admit(session.nodeId, this.#now())) {
          throw new FleetError("unavailable", "too many sessions in a short time; try again later");
        }
        session.open = true;
        this.#connected.get(session.nodeId)?.end("the node opened another session");
        this.#connected.set(session.nodeId, session);
        const hello = { nodeId: session.nodeId, sessionId: session.id, description, addr };
        const founder = store.count("node") === 1 &&
          store.get("node", session.nodeId)?.Description === undefined;
        await this.#commit((view) => this.#sessions.open(view, hello, this.#now()));
        if (founder) await this.#foundMesh();
        this.#drains.reset(session.nodeId);
        session.begin();
        this.#asked.connected(session.nodeId);
        // An earlier leader, or an earlier session, may not have got to telling these.
        for (const task of store.tasksOfNode(session.nodeId)) this.#maybeDrain(task);
        return;
      }
      case "heartbeat":
        if (!this.#sessions.heartbeat(store, session.nodeId, session.id, this.#now())) {
          throw new FleetError("invalid", "session invalid");
        }
        return;
      case "restarting":
        this.#sessions.restarting(session.nodeId, session.id);
        return;
      case "applied":
        if (session.open && this.#connected.get(session.nodeId) === session) {
          this.#drains.applied(session.nodeId, message.sequence);
        }
        return;
      case "status": {
        if (!session.open) throw new FleetError("invalid", "session invalid");
        await inParts(
          message.updates,
          MAX_CHANGES,
          (part) =>
            this.#commit((view) => applyStatusUpdates(view, session.nodeId, part, clock.now())),
        );
        session.acknowledge();
        return;
      }
    }
  }

  async #foundMesh(): Promise<void> {
    const { writer, random, logger } = this.#options;
    try {
      await writer.write((tx) => ensureIngress(tx, () => newId(random)), this.#group?.signal);
    } catch (error) {
      // The first published port tries again, and says why it cannot be.
      logger.log("warn", "no network for published ports yet", { error: messageOf(error) });
    }
  }

  /**
   * Commits what the decision says on the newest state, what is on its way into the log included: a
   * decision that finds nothing to do must not be one about a state that is being left.
   */
  async #commit(decide: (view: View) => readonly Change[]): Promise<void> {
    await this.#options.writer.write((tx) => {
      for (const change of decide(tx)) tx.perform(change);
    }, this.#group?.signal);
  }

  async #watchDeadlines(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    signal.addEventListener("abort", () => this.#lookAtDeadlines(), { once: true });
    while (await this.#commitSome(this.#sessions.takeOver(store, this.#now()), signal));
    for (;;) {
      signal.throwIfAborted();
      const { changes, wakeInMs } = this.#sessions.expire(store, this.#now());
      if (changes.length > 0) {
        this.#options.meter?.add("dispatcher_heartbeats_missed_total", {}, changes.length);
      }
      if (await this.#commitSome(changes, signal)) continue;
      await new Promise<void>((resolve) => {
        const cancel = wakeInMs === undefined
          ? () => {}
          : clock.after(Math.max(1, wakeInMs), resolve);
        this.#lookAtDeadlines = () => {
          cancel();
          resolve();
        };
      });
    }
  }

  /** Commits the first of the changes; false when there were none. The caller decides anew then. */
  async #commitSome(changes: readonly Change[], signal: AbortSignal): Promise<boolean> {
    if (changes.length === 0) return false;
    const some = changes.slice(0, MAX_CHANGES);
    try {
      await inParts(
        some,
        MAX_CHANGES,
        // Who has come back while this waited its turn is not given up.
        (part) => this.#commit(() => part.filter((change) => !this.#sessions.isBack(change))),
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!isLostRace(error)) throw error;
    }
    return true;
  }

  #now(): Now {
    const { clock } = this.#options;
    return { wallMs: clock.now(), monotonicMs: clock.monotonic() };
  }

  /** Follows a task that runs and shall stop until no node sends to it any more. */
  #maybeDrain(task: Task): void {
    const { store } = this.#options;
    if (!isDraining(task) || networksOf(task).length === 0) return;
    const nodes = new Set<string>();
    for (const id of networksOf(task)) {
      for (const nodeId of Object.keys(store.get("network", id)?.Gateways ?? {})) {
        const node = store.get("node", nodeId);
        // One without a session after a change of leader may send to the task all the same.
        if (node && (node.Status.State === "ready" || isAwaited(node))) nodes.add(nodeId);
      }
    }
    this.#drains.begin(task.ID, task.NodeID ?? "", nodes);
    for (const nodeId of nodes) this.#connected.get(nodeId)?.assignmentsChanged();
  }

  #followDrain({ op, object, previous }: Applied<"task">): void {
    if (op === "remove" || !isDraining(object)) this.#drains.forget(object.ID);
    else if (!previous || !isDraining(previous)) this.#maybeDrain(object);
  }

  #onApply(changes: readonly Applied[]): void {
    const touched = new Set<string>();
    const networks = new Set<string>();
    let members = false;
    let everyNetwork = false;
    let everybody = false;
    for (const change of changes) {
      const { table, object, previous } = change;
      // The roots to trust are told with the session.
      if (table === "cluster") {
        members = true;
        const keys = (cluster: unknown) => (cluster as Applied<"cluster">["object"])?.NetworkKeys;
        if (keys(object) !== keys(previous)) everyNetwork = true;
      }
      if (table === "network") {
        networks.add(object.ID);
        // Who has the mesh's network is told by the network itself, also those who had none so far.
        if ((object as Applied<"network">["object"]).Spec.Ingress) everybody = true;
      }
      if (table === "service") {
        for (const { Target } of networkTargets(object, previous)) networks.add(Target ?? "");
        if (publishes(object) || publishes(previous)) everyNetwork = true;
      }
      if (table === "task") {
        this.#followDrain(change as Applied<"task">);
        for (const task of [object, previous] as (Applied<"task">["object"] | undefined)[]) {
          for (const id of networksOf(task)) networks.add(id);
        }
        for (
          const id of [
            (object as Applied<"task">["object"]).NodeID,
            (previous as Applied<"task">["object"] | undefined)?.NodeID,
          ]
        ) {
          if (id) touched.add(id);
        }
      } else if (table === "node") {
        members = true;
        const before = previous as Applied<"node">["object"] | undefined;
        const now = object as Applied<"node">["object"];
        if (before && before.Status.State !== now.Status.State) this.#lookAtDeadlines();
        if (change.op === "remove" || now.Status.State === "down") this.#drains.gone(object.ID);
        // Where its frames go, and whether its tasks serve, is every neighbour's business.
        everyNetwork ||= before?.Status.State !== now.Status.State ||
          before.Status.Addr !== now.Status.Addr ||
          before.Description?.Overlay?.Addr !== now.Description?.Overlay?.Addr;
      }
    }
    if (networks.size > 0 || everyNetwork || everybody) {
      for (const session of this.#connected.values()) {
        if (everybody || session.isOn(networks, everyNetwork)) session.assignmentsChanged();
      }
    }
    for (const nodeId of touched) this.#connected.get(nodeId)?.assignmentsChanged();
    if (members) { for (const session of this.#connected.values()) session.nodeChanged(); }
  }
}

function isDraining({ ServiceID, Status, DesiredState }: Task): boolean {
  return ServiceID !== undefined && Status.State === "running" &&
    compareStates(DesiredState, "shutdown") >= 0;
}

function publishes(object: Applied["object"] | undefined): boolean {
  return object !== undefined &&
    ingressPorts((object as Applied<"service">["object"]).Spec).length > 0;
}

/** Networks that a service is or was on. */
function networkTargets(...services: readonly (Applied["object"] | undefined)[]) {
  return (services as (Applied<"service">["object"] | undefined)[]).flatMap((service) =>
    service?.Spec.TaskTemplate?.Networks ?? []
  );
}

/** The leader's end of one agent's session. */
class AgentSession {
  open = false;
  readonly nodeId: string;
  readonly id: string;
  readonly #stream: RpcStream;
  readonly #options: ClusterWorkOptions;
  #sent: ReturnType<typeof assignmentsOf> = new Map();
  #networks: ReadonlySet<string> = new Set();
  #sequence = 0;
  #statuses = 0;
  #told = "";
  #planned = false;
  #ended = false;
  readonly #onTold: (sequence: number) => void;

  constructor(
    nodeId: string,
    id: string,
    stream: RpcStream,
    options: ClusterWorkOptions,
    onTold: (sequence: number) => void,
  ) {
    this.#onTold = onTold;
    this.nodeId = nodeId;
    this.id = id;
    this.#stream = stream;
    this.#options = options;
  }

  /** The node is known: who leads, and everything it shall do. */
  begin(): void {
    this.nodeChanged();
    this.#assign(assignmentsOf(this.#options.store, this.nodeId));
    this.#send({
      type: "assignments",
      assignments: completeAssignments(this.#sent, ++this.#sequence),
    });
    this.#onTold(this.#sequence);
  }

  /** Tells role and managers when they differ from what was told last. */
  nodeChanged(): void {
    const { store, managers } = this.#options;
    const node = store.get("node", this.nodeId);
    if (!node) return this.end("the node was removed from the cluster");
    const cluster = clusterOf(store);
    const message: FromDispatcher = {
      type: "session",
      sessionId: this.id,
      heartbeatPeriodMs: Sessions.periodMs(store),
      managers: managers(),
      role: node.Role,
      renewCertificate: node.RenewCertificate ?? false,
      ...(cluster ? { trustRoot: trustBundle(cluster.RootCA) } : {}),
    };
    const text = JSON.stringify(message);
    if (text === this.#told) return;
    this.#told = text;
    this.#send(message);
  }

  /** Whether the question could be sent. */
  ask(question: TaskQuestion & { readonly requestId: string }): boolean {
    if (this.#ended || !this.open) return false;
    this.#send({ type: "question", ...question });
    return true;
  }

  /** Whether the node was told of one of these networks, or of any. */
  isOn(networks: ReadonlySet<string>, any: boolean): boolean {
    if (any) return this.#networks.size > 0;
    for (const id of networks) if (this.#networks.has(id)) return true;
    return false;
  }

  #assign(set: ReturnType<typeof assignmentsOf>): void {
    this.#sent = set;
    this.#networks = new Set(
      [...set.values()].flatMap(({ kind, id }) => kind === "network" ? [id] : []),
    );
  }

  assignmentsChanged(): void {
    if (this.#planned || this.#ended) return;
    this.#planned = true;
    const plannedMs = this.#options.clock.now();
    this.#options.clock.after(ASSIGNMENT_DELAY_MS, () => {
      this.#planned = false;
      if (this.#ended || !this.open) return;
      const next = assignmentsOf(this.#options.store, this.nodeId);
      const difference = diffAssignments(this.#sent, next, this.#sequence);
      this.#assign(next);
      if (difference) {
        this.#sequence = difference.resultsIn;
        this.#send({ type: "assignments", assignments: difference });
        const { tracer } = this.#options;
        if (tracer) {
          const tasks = difference.update.flatMap((i) => i.kind === "task" ? [i.task] : []);
          traceAssignments(tracer, this.nodeId, plannedMs, tasks);
        }
      }
      this.#onTold(this.#sequence);
    });
  }

  drained(taskId: string): void {
    this.#send({ type: "drained", taskId });
  }

  acknowledge(): void {
    this.#send({ type: "ack", count: ++this.#statuses });
  }

  end(reason: string, kind?: ErrorKind): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.cancel(reason, kind);
  }

  #send(message: FromDispatcher): void {
    if (this.#ended) return;
    this.#stream.send(message).catch(() => this.end("the agent does not read"));
  }
}
