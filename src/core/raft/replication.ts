import { assert } from "../../base/assert.ts";
import { entryBytes } from "./size.ts";
import type { Progress } from "./progress.ts";
import { answerReads, releaseReads } from "./reads.ts";
import type { RaftState } from "./state.ts";
import type { AppendReply, HeartbeatReply } from "./message.ts";
import type { Entry, RaftId } from "./types.ts";

/** The leader's side of replication: §5.3, §5.4.2, §7; check-quorum (dissertation §6.2). */

/** Appends made for one follower in one Ready; the rest follows with the next. */
const MAX_APPENDS_PER_FLUSH = 64;
/** Without any report about a snapshot for so long, it is taken for lost. Election timeouts. */
const SNAPSHOT_PATIENCE = 60;

/** Sends whatever followers lack. Called once per Ready. */
export function flush(s: RaftState): void {
  if (s.role !== "leader") return;
  if (s.reads.needsRound()) broadcastHeartbeat(s);
  if (!s.flushNeeded) return;
  s.flushNeeded = false;
  for (const progress of s.progress.values()) {
    if (progress.id === s.id) continue;
    const news = progress.forced || progress.sentCommit < s.log.committed;
    if (!maybeAppend(s, progress, news)) continue;
    for (let n = 1; maybeAppend(s, progress, false); n++) {
      if (n < MAX_APPENDS_PER_FLUSH) continue;
      s.flushNeeded = true;
      break;
    }
  }
}

/** Sends one append, or a snapshot; `false` when there is nothing to send or the window is full. */
function maybeAppend(s: RaftState, progress: Progress, allowEmpty: boolean): boolean {
  const { log } = s;
  const full = progress.paused();
  if (full && !(progress.forced && progress.state === "replicate")) return false;
  const prevIndex = progress.next - 1;
  const prevTerm = log.term(prevIndex);
  const entries: readonly Entry[] | undefined = prevTerm === undefined
    ? undefined
    : full
    ? []
    : log.slice(progress.next, log.lastIndex() + 1, s.config.maxMessageBytes);
  if (prevTerm === undefined || entries === undefined) return maybeSnapshot(s, progress);
  if (entries.length === 0 && !allowEmpty && progress.state !== "probe") return false;
  progress.forced = false;
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  s.send({
    type: "append",
    from: s.id,
    to: progress.id,
    term: s.term,
    prevIndex,
    prevTerm,
    entries,
    commit: log.committed,
    expect: s.expectOf(progress.id),
  });
  progress.sent(entries.length, bytes);
  progress.sentCommit = log.committed;
  return true;
}

function maybeSnapshot(s: RaftState, progress: Progress): boolean {
  // Nobody would take it: wait until the member speaks.
  if (!progress.recentActive) return false;
  const snapshot = s.log.snapshotToSend();
  if (snapshot === undefined) return false;
  progress.forced = false;
  progress.becomeSnapshot(snapshot.meta.index);
  s.send({ type: "snapshot", from: s.id, to: progress.id, term: s.term, snapshot });
  return true;
}

/** A last append to a member that is about to be forgotten, so that it may learn of its removal. */
export function sendFarewell(s: RaftState, progress: Progress): void {
  progress.forced = true;
  maybeAppend(s, progress, true);
}

export function broadcastHeartbeat(s: RaftState): void {
  const { committed } = s.log;
  for (const progress of s.progress.values()) {
    s.remember(progress.id, Math.min(progress.match, committed));
  }
  const known: (readonly [RaftId, number])[] = [];
  for (const [id, progress] of s.progress) {
    const index = id === s.id ? Math.min(progress.match, committed) : s.expectOf(id);
    if (index > 0) known.push([id, index]);
  }
  const round = ++s.reads.round;
  for (const progress of s.progress.values()) {
    if (progress.id === s.id) continue;
    s.send({
      type: "heartbeat",
      from: s.id,
      to: progress.id,
      term: s.term,
      commit: Math.min(progress.match, committed),
      round,
      expect: s.expectOf(progress.id),
      known,
    });
  }
}

/** A tick of the leader. */
export function tickLeader(s: RaftState): void {
  s.heartbeatElapsed++;
  s.electionElapsed++;
  for (const progress of s.progress.values()) {
    if (progress.id === s.id) continue;
    progress.silentTicks++;
    if (progress.state !== "snapshot") continue;
    progress.snapshotTicks++;
    if (progress.snapshotTicks >= SNAPSHOT_PATIENCE * s.config.electionTicks) {
      progress.pendingSnapshot = 0;
      progress.becomeProbe();
    }
  }
  if (s.electionElapsed >= s.config.electionTicks) {
    s.electionElapsed = 0;
    // Whoever was asked to take over had a whole election timeout for it (dissertation §3.10).
    s.transferee = "";
    if (!checkQuorum(s)) {
      s.becomeFollower(s.term, "");
      return;
    }
  }
  if (s.heartbeatElapsed >= s.config.heartbeatTicks) {
    s.heartbeatElapsed = 0;
    broadcastHeartbeat(s);
  }
}

/** Whether a majority was heard from since the last check. */
function checkQuorum(s: RaftState): boolean {
  let active = 0;
  for (const progress of s.progress.values()) {
    if (!progress.learner && (progress.id === s.id || progress.recentActive)) active++;
    if (progress.id !== s.id) progress.recentActive = false;
  }
  return active >= s.quorum();
}

export function handleAppendReply(s: RaftState, m: AppendReply): void {
  const progress = s.progress.get(m.from);
  if (progress === undefined) return;
  heard(progress);
  progress.commit = Math.max(progress.commit, m.commit);
  maybeResign(s);
  // The lead may have ended just now.
  if (s.role !== "leader") return;
  if (m.reject) {
    let hint = m.hintIndex;
    if (m.hintTerm > 0) hint = s.log.findConflictByTerm(hint, m.hintTerm).index;
    if (progress.reject(m.index, hint)) s.flushNeeded = true;
    return;
  }
  assert(
    m.index <= s.log.lastIndex(),
    `member ${m.from} acknowledged entry ${m.index}, the leader has ${s.log.lastIndex()}`,
  );
  const wasPaused = progress.paused();
  const news = progress.acknowledge(m.index);
  if (!news && !(progress.state === "probe" && progress.match === m.index)) return;
  if (progress.state === "probe") {
    progress.becomeReplicate();
    s.flushNeeded = true;
  } else if (progress.state === "snapshot") {
    if (progress.match + 1 >= s.log.firstIndex()) {
      progress.becomeReplicate();
      s.flushNeeded = true;
    }
  } else {
    progress.inflights.freeTo(m.index);
    if (wasPaused) s.flushNeeded = true;
  }
  maybeCommit(s);
  maybeHandOver(s, progress);
}

export function handleHeartbeatReply(s: RaftState, m: HeartbeatReply): void {
  const progress = s.progress.get(m.from);
  if (progress === undefined) return;
  progress.regressed = m.regressed;
  // Its word counts for nothing any more, neither for the quorum nor for reads.
  if (m.regressed) return;
  heard(progress);
  progress.commit = Math.max(progress.commit, m.commit);
  maybeResign(s);
  if (s.role !== "leader") return;
  progress.probeSent = false;
  if (progress.match < s.log.lastIndex() || progress.state === "probe") {
    progress.forced = true;
    s.flushNeeded = true;
  }
  if (m.round > progress.ackedRound) {
    progress.ackedRound = m.round;
    answerReads(s);
  }
}

function heard(progress: Progress): void {
  progress.recentActive = true;
  progress.silentTicks = 0;
}

/** This member's own disk has caught up. */
export function acknowledgeOwn(s: RaftState): void {
  if (s.role !== "leader") return;
  if (s.progress.get(s.id)?.acknowledge(s.log.stable)) maybeCommit(s);
}

/** Commits what a majority has persisted, if the last such entry is of this term (§5.4.2). */
export function maybeCommit(s: RaftState): void {
  const matches: number[] = [];
  for (const progress of s.progress.values()) {
    if (!progress.learner) matches.push(progress.match);
  }
  const quorum = s.quorum();
  if (matches.length < quorum) return;
  matches.sort((a, b) => b - a);
  const index = matches[quorum - 1]!;
  if (index <= s.log.committed) return;
  if (!s.rules.mayCommit(s.log.term(index) ?? 0, s.term)) return;
  s.log.commitTo(index);
  s.flushNeeded = true;
  releaseReads(s);
}

/** The transferee has everything: it may campaign at once. */
export function maybeHandOver(s: RaftState, progress: Progress): void {
  if (s.transferee !== progress.id || progress.match !== s.log.lastIndex()) return;
  sendTimeoutNow(s, progress.id);
}

export function sendTimeoutNow(s: RaftState, to: RaftId): void {
  s.send({ type: "timeout-now", from: s.id, to, term: s.term });
}

/**
 * A leader that was removed gives up the lead once a majority of those who stay have persisted that it was: if
 * it left earlier, they might wait for its vote forever. The most advanced of them takes over at once.
 */
export function maybeResign(s: RaftState): void {
  if (s.resigning === 0) return;
  let informed = 0;
  let heir: Progress | undefined;
  for (const progress of s.progress.values()) {
    if (progress.learner || progress.commit < s.resigning) continue;
    informed++;
    if (heir === undefined || progress.match > heir.match) heir = progress;
  }
  if (heir === undefined || informed < s.quorum()) return;
  sendTimeoutNow(s, heir.id);
  s.becomeFollower(s.term, "");
}
