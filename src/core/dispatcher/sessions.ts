import { NS_PER_MS } from "../../base/duration.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { timeMs, timeText } from "../../model/meta.ts";
import type { Node, NodeDescription } from "../../model/node.ts";
import { compareStates } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { assertTransition, isOnNode } from "../../model/task_transitions.ts";
import { clusterOf } from "../../model/view.ts";
import type { Change, View } from "../../model/view.ts";

/** A session ends after this many heartbeat periods without a word. */
const MISSED_HEARTBEATS = 3;
/** After a change of leader nodes get this many periods to come back. */
const PERIODS_AFTER_LEADER_CHANGE = 6;
/**
 * A closed connection says at once that the agent or its machine is gone, but an agent that restarts
 * must find its tasks where they were: it has this long to come back.
 */
export const CLOSED_GRACE_MS = 2_000;
/**
 * An agent that said it would come back has this long: a slow machine takes half a minute, and the new
 * version gives itself as long before it makes room for the old one again.
 */
export const RESTART_GRACE_MS = 90_000;
/** Tasks of a node that stays down are given up after this long. */
export const ORPHAN_AFTER_MS = 24 * 3600 * 1000;
/** A node that opens more sessions than this in the window is told to slow down; restarts come to fewer. */
const MAX_SESSIONS = 10;
const SESSION_WINDOW_MS = 8_000;
/** A leader that looks this much later than it meant to was itself held up, not its agents. */
const HELD_UP_MS = 1_000;

/** The time, twice: deadlines must not move with the wall clock, and stored times must be its. */
export interface Now {
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  /** Milliseconds that never go back. */
  readonly monotonicMs: number;
}

interface Session {
  readonly id: string;
  /** Monotonic. */
  deadlineMs: number;
  /** It said that it would come back. */
  restarting?: true;
}

interface Waiting {
  /** Monotonic. */
  deadlineMs: number;
  /** Told when the time is over. */
  readonly message: string;
}

/**
 * Who is connected and until when that counts, as deadlines; the leader's memory, rebuilt at every
 * change of leader. What others must know is in the node objects.
 */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  /** Nodes without a session that have time to come back. */
  readonly #waiting = new Map<string, Waiting>();
  /** When each node opened its latest sessions, monotonic. */
  readonly #opened = new Map<string, number[]>();
  #plannedMs = Infinity;

  /** Heartbeat period, milliseconds. */
  static periodMs(view: View): number {
    const period = clusterOf(view)?.Spec.Dispatcher?.HeartbeatPeriod;
    return (period || CLUSTER_DEFAULTS.heartbeatPeriodNs) / NS_PER_MS;
  }

  /**
   * A new leader knows of no session: whoever was not down is unknown until it says hello. May be asked
   * again until it wants no more changes.
   */
  takeOver(view: View, now: Now): Change[] {
    const deadlineMs = now.monotonicMs + PERIODS_AFTER_LEADER_CHANGE * Sessions.periodMs(view);
    const changes: Change[] = [];
    for (const node of sorted(view)) {
      if (node.Status.State === "down" || this.#sessions.has(node.ID)) continue;
      if (!this.#waiting.has(node.ID)) {
        const message = 'heartbeat failure for node in "unknown" state';
        this.#waiting.set(node.ID, { deadlineMs, message });
      }
      if (node.Status.State === "unknown") continue;
      const message = `Node moved to "unknown" state due to leadership change in cluster`;
      changes.push(withState(node, "unknown", message, now));
    }
    return changes;
  }

  /** False for a node that opens sessions faster than anybody needs to; it shall wait a while. */
  admit(nodeId: string, now: Now): boolean {
    const recent = (this.#opened.get(nodeId) ?? [])
      .filter((at) => at > now.monotonicMs - SESSION_WINDOW_MS);
    const admitted = recent.length < MAX_SESSIONS;
    if (admitted) recent.push(now.monotonicMs);
    this.#opened.set(nodeId, recent);
    return admitted;
  }

  /** A node said hello; an older session of it is void. */
  open(
    view: View,
    hello: { nodeId: string; sessionId: string; description: NodeDescription; addr: string },
    now: Now,
  ): Change[] {
    this.#sessions.set(hello.nodeId, {
      id: hello.sessionId,
      deadlineMs: this.#deadline(view, now),
    });
    this.#waiting.delete(hello.nodeId);
    return this.describe(view, hello.nodeId, hello.description, hello.addr);
  }

  /** A node told again what it is. */
  describe(view: View, nodeId: string, description: NodeDescription, addr: string): Change[] {
    const node = view.get("node", nodeId);
    if (!node) return [];
    const { DownSince: _, ...rest } = node;
    const next: Node = {
      ...rest,
      Description: description,
      Status: { State: "ready", ...(addr ? { Addr: addr } : {}) },
    };
    return JSON.stringify(next) === JSON.stringify(node)
      ? []
      : [{ op: "update", table: "node", object: next }];
  }

  /** False for a session that is void: the agent has to say hello again. */
  heartbeat(view: View, nodeId: string, sessionId: string, now: Now): boolean {
    const session = this.#sessions.get(nodeId);
    if (session?.id !== sessionId) return false;
    session.deadlineMs = this.#deadline(view, now);
    return true;
  }

  /** Whether a change that {@link expire} or {@link takeOver} wanted concerns a node that has a session now. */
  isBack(change: Change): boolean {
    if (change.op === "remove") return false;
    if (change.table === "node") return this.#sessions.has(change.object.ID);
    return change.table === "task" && this.#sessions.has(change.object.NodeID ?? "");
  }

  isCurrent(nodeId: string, sessionId: string): boolean {
    return this.#sessions.get(nodeId)?.id === sessionId;
  }

  /** Nodes whose connection closed a moment ago: not yet taken for down. */
  get silent(): readonly string[] {
    return [...this.#waiting.keys()];
  }

  /** The node's agent is about to end and to begin again. */
  restarting(nodeId: string, sessionId: string): void {
    const session = this.#sessions.get(nodeId);
    if (session?.id === sessionId) session.restarting = true;
  }

  /** The connection of a session ended. True when somebody has to look whether the node comes back. */
  closed(nodeId: string, sessionId: string, now: Now): boolean {
    const session = this.#sessions.get(nodeId);
    if (session?.id !== sessionId) return false;
    this.#sessions.delete(nodeId);
    const [graceMs, why] = session.restarting
      ? [RESTART_GRACE_MS, "the agent restarted"]
      : [CLOSED_GRACE_MS, "the connection closed"];
    this.#waiting.set(nodeId, {
      deadlineMs: now.monotonicMs + graceMs,
      message: `heartbeat failure: ${why} and did not come back`,
    });
    return true;
  }

  /**
   * Marks down whose time is over, gives up tasks of nodes long down. `wakeInMs` is when to look again;
   * the caller keeps to it, since a look that comes late moves the deadlines.
   */
  expire(view: View, now: Now): { changes: Change[]; wakeInMs: number | undefined } {
    this.#forgive(view, now);
    const changes: Change[] = [];
    let wakeInMs = Infinity;
    const isOver = (deadlineMs: number) => {
      const left = deadlineMs - now.monotonicMs;
      if (left > 0) wakeInMs = Math.min(wakeInMs, left);
      return left <= 0;
    };
    for (const [nodeId, { deadlineMs }] of [...this.#sessions]) {
      if (!isOver(deadlineMs)) continue;
      this.#sessions.delete(nodeId);
      this.#waiting.set(nodeId, { deadlineMs, message: "heartbeat failure" });
    }
    for (const [nodeId, { deadlineMs, message }] of inOrder(this.#waiting)) {
      if (!isOver(deadlineMs)) continue;
      const node = view.get("node", nodeId);
      // Only what is stored counts: until then every look says it again.
      if (!node || node.Status.State === "down") this.#waiting.delete(nodeId);
      else changes.push(withState(node, "down", message, now));
    }
    for (const node of sorted(view)) {
      if (node.Status.State !== "down") continue;
      // Without a time it is down since a version that did not note it: the clock starts now.
      if (!node.DownSince) changes.push(withState(node, "down", node.Status.Message ?? "", now));
      else {
        const left = timeMs(node.DownSince) + ORPHAN_AFTER_MS - now.wallMs;
        if (left > 0) wakeInMs = Math.min(wakeInMs, left);
        else changes.push(...orphans(view, node, now));
      }
    }
    this.#plannedMs = now.monotonicMs + wakeInMs;
    return { changes, wakeInMs: wakeInMs === Infinity ? undefined : wakeInMs };
  }

  /** A leader that stood still read no heartbeats; nobody's time may run out for that. */
  #forgive(view: View, now: Now): void {
    const lateMs = now.monotonicMs - this.#plannedMs;
    if (lateMs < HELD_UP_MS) return;
    const soonest = now.monotonicMs + Sessions.periodMs(view);
    for (const held of [...this.#sessions.values(), ...this.#waiting.values()]) {
      held.deadlineMs = Math.max(held.deadlineMs + lateMs, soonest);
    }
  }

  #deadline(view: View, now: Now): number {
    return now.monotonicMs + MISSED_HEARTBEATS * Sessions.periodMs(view);
  }
}

function withState(node: Node, state: Node["Status"]["State"], message: string, now: Now): Change {
  return {
    op: "update",
    table: "node",
    object: {
      ...node,
      Status: { ...node.Status, State: state, Message: message },
      ...(state === "down" ? { DownSince: timeText(now.wallMs) } : {}),
    },
  };
}

function orphans(view: View, node: Node, now: Now): Change[] {
  return [...view.tasksOfNode(node.ID)]
    .filter(({ Status }) => isOnNode(Status.State))
    .sort((a, b) => compareStates(a.Status.State, b.Status.State) || (a.ID < b.ID ? -1 : 1))
    .map((task): Change => ({ op: "update", table: "task", object: orphaned(task, now) }));
}

function orphaned(task: Task, now: Now): Task {
  const at = timeText(now.wallMs);
  const object: Task = {
    ...task,
    Status: {
      ...task.Status,
      State: "orphaned",
      Timestamp: at,
      AppliedAt: at,
      Message: "node was down too long",
    },
  };
  assertTransition("dispatcher", task, object);
  return object;
}

function inOrder<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => a < b ? -1 : 1);
}

function sorted(view: View): Node[] {
  return [...view.all("node")].sort((a, b) => a.ID < b.ID ? -1 : 1);
}
