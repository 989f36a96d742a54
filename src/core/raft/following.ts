import { assert } from "../../base/assert.ts";
import { isMember } from "./conf_change.ts";
import type { RaftState } from "./state.ts";
import type { Append, Heartbeat, InstallSnapshot } from "./message.ts";
import type { Message } from "./types.ts";

/** The follower's side of replication: §5.3 and §7. */

/** The sender leads this term. */
export function acceptLeader(s: RaftState, m: Append | Heartbeat | InstallSnapshot): void {
  if (s.role !== "follower") s.becomeFollower(m.term, m.from);
  assert(
    s.leader === "" || s.leader === m.from,
    `${s.leader} and ${m.from} both lead term ${s.term}`,
  );
  s.electionElapsed = 0;
  s.leader = m.from;
}

export function handleAppend(s: RaftState, m: Append): void {
  const { log } = s;
  if (m.prevIndex < log.committed) {
    // Late or repeated: what is committed equals the leader's log anyway.
    acknowledge(s, m, log.committed);
    return;
  }
  const ownTerm = log.term(m.prevIndex);
  if (ownTerm !== undefined && s.rules.logMatches(ownTerm, m.prevTerm)) {
    log.merge(m.entries);
    const last = m.prevIndex + m.entries.length;
    log.commitTo(Math.min(m.commit, last));
    acknowledge(s, m, last);
    return;
  }
  const hint = log.findConflictByTerm(m.prevIndex, m.prevTerm);
  s.send({
    type: "append-reply",
    from: s.id,
    to: m.from,
    term: s.term,
    reject: true,
    index: m.prevIndex,
    hintIndex: hint.index,
    hintTerm: hint.term,
    commit: log.committed,
  });
}

export function handleHeartbeat(s: RaftState, m: Heartbeat): void {
  for (const [id, index] of m.known) {
    if (isMember(s.conf, id)) s.remember(id, index);
  }
  // `checkRegression` made sure that the log reaches this far.
  s.log.commitTo(m.commit);
  s.send({
    type: "heartbeat-reply",
    from: s.id,
    to: m.from,
    term: s.term,
    round: m.round,
    commit: s.log.committed,
    regressed: false,
  });
}

export function handleSnapshot(s: RaftState, m: InstallSnapshot): void {
  const { log } = s;
  const { index, term } = m.snapshot.meta;
  if (index > log.committed) {
    // Where the log holds all of it there is no need to throw anything away.
    if (log.term(index) === term) log.commitTo(index);
    else log.restore(m.snapshot);
  }
  acknowledge(s, m, log.committed);
}

/** Says that the log equals the leader's up to `index`; sent once that is on disk. */
function acknowledge(s: RaftState, m: Message, index: number): void {
  s.send({
    type: "append-reply",
    from: s.id,
    to: m.from,
    term: s.term,
    reject: false,
    index,
    hintIndex: 0,
    hintTerm: 0,
    commit: s.log.committed,
  });
}

/**
 * Finds out whether this member lost entries that it once acknowledged: others remember a committed index
 * that it had persisted, and committed entries never leave a log. `true` when `m` must not be
 * handled further.
 */
export function checkRegression(s: RaftState, m: Message): boolean {
  if (!s.regressed) {
    let expected = 0;
    if ("expect" in m && m.expect >= s.config.joinedIndex) expected = m.expect;
    if (m.type === "heartbeat" && m.term >= s.term) expected = Math.max(expected, m.commit);
    const lastIndex = s.log.lastIndex();
    if (expected <= lastIndex) return false;
    s.becomeFollower(s.term, "");
    s.regressed = { expected, lastIndex, from: m.from };
  }
  if (m.type === "heartbeat" && m.term >= s.term) {
    s.send({
      type: "heartbeat-reply",
      from: s.id,
      to: m.from,
      // Not persisting the leader's term is fine: the answer promises nothing.
      term: m.term,
      round: 0,
      commit: 0,
      regressed: true,
    });
  }
  return true;
}
