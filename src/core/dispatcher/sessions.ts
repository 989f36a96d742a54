import { NS_PER_MS } from "../../base/duration.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { timeMs, timeText } from "../../model/meta.ts";
import type { Node, NodeDescription } from "../../model/node.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import { clusterOf } from "../../model/view.ts";
import type { Change, View } from "../../model/view.ts";

/** A session ends after this many heartbeat periods without a word. */
const MISSED_HEARTBEATS = 3;
/**
 * After a change of leader nodes get this many periods to come back. Swarm waits six; agents here look
 * for the new leader at once and at least every 8 seconds, so two are enough, and the tasks of a leader
 * that died with its machine run elsewhere 20 seconds sooner.
 */
const PERIODS_AFTER_LEADER_CHANGE = 2;
/**
 * A closed connection says at once that the agent or its machine is gone, but an agent that restarts
 * must find its tasks where they were: it has this long to come back.
 */
export const CLOSED_GRACE_MS = 2_000;
/** Tasks of a node that stays down are given up after this long. */
const ORPHAN_AFTER_MS = 24 * 3600 * 1000;

interface Session {
  readonly id: string;
  deadlineMs: number;
}

/**
 * Who is connected and until when that counts, as deadlines; the leader's memory, rebuilt at every
 * change of leader. What others must know is in the node objects.
 */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  /** Nodes without a session that have time to come back. */
  readonly #waiting = new Map<string, number>();

  /** Heartbeat period, milliseconds. */
  static periodMs(view: View): number {
    const period = clusterOf(view)?.Spec.Dispatcher?.HeartbeatPeriod;
    return (period || CLUSTER_DEFAULTS.heartbeatPeriodNs) / NS_PER_MS;
  }

  /** A new leader knows of no session: whoever was not down is unknown until it says hello. */
  takeOver(view: View, nowMs: number): Change[] {
    const deadline = nowMs + PERIODS_AFTER_LEADER_CHANGE * Sessions.periodMs(view);
    const changes: Change[] = [];
    for (const node of sorted(view)) {
      if (node.Status.State === "down") continue;
      this.#waiting.set(node.ID, deadline);
      if (node.Status.State === "unknown") continue;
      changes.push(
        withState(
          node,
          "unknown",
          'Node moved to "unknown" state due to leadership change in cluster',
          nowMs,
        ),
      );
    }
    return changes;
  }

  /** A node said hello; an older session of it is void. */
  open(
    view: View,
    hello: { nodeId: string; sessionId: string; description: NodeDescription; addr: string },
    nowMs: number,
  ): Change[] {
    this.#sessions.set(hello.nodeId, {
      id: hello.sessionId,
      deadlineMs: this.#deadline(view, nowMs),
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
  heartbeat(view: View, nodeId: string, sessionId: string, nowMs: number): boolean {
    const session = this.#sessions.get(nodeId);
    if (session?.id !== sessionId) return false;
    session.deadlineMs = this.#deadline(view, nowMs);
    return true;
  }

  isCurrent(nodeId: string, sessionId: string): boolean {
    return this.#sessions.get(nodeId)?.id === sessionId;
  }

  /** The connection of a session ended; when to look whether the node came back. */
  closed(nodeId: string, sessionId: string, nowMs: number): number | undefined {
    if (!this.isCurrent(nodeId, sessionId)) return undefined;
    this.#sessions.delete(nodeId);
    this.#waiting.set(nodeId, nowMs + CLOSED_GRACE_MS);
    return nowMs + CLOSED_GRACE_MS;
  }

  /** Marks down whose time is over, gives up tasks of nodes long down; when to look again. */
  expire(view: View, nowMs: number): { changes: Change[]; wakeAtMs: number | undefined } {
    const changes: Change[] = [];
    let wakeAtMs = Infinity;
    for (const [nodeId, session] of [...this.#sessions]) {
      if (session.deadlineMs > nowMs) wakeAtMs = Math.min(wakeAtMs, session.deadlineMs);
      else {
        this.#sessions.delete(nodeId);
        this.#down(view, nodeId, "heartbeat failure", nowMs, changes);
      }
    }
    for (const [nodeId, deadline] of [...this.#waiting]) {
      if (deadline > nowMs) wakeAtMs = Math.min(wakeAtMs, deadline);
      else {
        this.#waiting.delete(nodeId);
        this.#down(view, nodeId, "heartbeat failure", nowMs, changes);
      }
    }
    for (const node of sorted(view)) {
      if (node.Status.State !== "down" || !node.DownSince) continue;
      const at = timeMs(node.DownSince) + ORPHAN_AFTER_MS;
      if (at > nowMs) wakeAtMs = Math.min(wakeAtMs, at);
      else changes.push(...orphans(view, node, nowMs));
    }
    return { changes, wakeAtMs: wakeAtMs === Infinity ? undefined : wakeAtMs };
  }

  #deadline(view: View, nowMs: number): number {
    return nowMs + MISSED_HEARTBEATS * Sessions.periodMs(view);
  }

  #down(view: View, nodeId: string, message: string, nowMs: number, changes: Change[]): void {
    const node = view.get("node", nodeId);
    if (node && node.Status.State !== "down") changes.push(withState(node, "down", message, nowMs));
  }
}

function withState(
  node: Node,
  state: Node["Status"]["State"],
  message: string,
  nowMs: number,
): Change {
  return {
    op: "update",
    table: "node",
    object: {
      ...node,
      Status: { ...node.Status, State: state, Message: message },
      ...(state === "down" ? { DownSince: timeText(nowMs) } : {}),
    },
  };
}

function orphans(view: View, node: Node, nowMs: number): Change[] {
  return [...view.tasksOfNode(node.ID)]
    .filter((task) =>
      !isTerminal(task.Status.State) && compareStates(task.Status.State, "assigned") >= 0
    )
    .sort((a, b) => a.ID < b.ID ? -1 : 1)
    .map((task) => ({
      op: "update",
      table: "task",
      object: {
        ...task,
        Status: {
          ...task.Status,
          State: "orphaned",
          Timestamp: timeText(nowMs),
          AppliedAt: timeText(nowMs),
          Message: "node was down too long",
        },
      },
    }));
}

function sorted(view: View): Node[] {
  return [...view.all("node")].sort((a, b) => a.ID < b.ID ? -1 : 1);
}
