import type { RaftState } from "./state.ts";
import type { VoteReply, VoteRequest } from "./message.ts";
import { maybeCommit } from "./replication.ts";
import type { RaftId } from "./types.ts";

/**
 * Elections: §5.2 and §5.4.1, pre-vote (dissertation §9.6), disruptive servers (§4.2.3), transfer (§3.10).
 */

/** Ticks between two requests to a voter that has not answered; requests get lost. */
const RETRY_TICKS = 2;
/** When the leader's connection closed, the members try one after the other, this many ticks apart. */
const SUCCESSION_TICKS = 2;
/** Entries looked at at once when searching for membership changes. */
const SCAN_BYTES = 4 * 1024 * 1024;

/** Starts an election where this member may; otherwise does nothing. */
export function maybeCampaign(s: RaftState, kind: "pre-vote" | "transfer"): void {
  if (s.role === "leader" || s.regressed || !mayLead(s)) return;
  if (kind === "transfer") return becomeCandidate(s, true);
  s.becomePreCandidate();
  s.votes.set(s.id, true);
  if (!countVotes(s)) requestVotes(s, false);
}

/**
 * Only voters lead, and only once they know the membership that they would lead. One that joined anew goes
 * through the history of its earlier life, where it may have been the only voter.
 */
function mayLead(s: RaftState): boolean {
  return s.isVoter(s.id) && s.log.applied >= s.config.joinedIndex &&
    s.log.snapshotMeta() === undefined && !hasUnappliedConf(s);
}

/** Such a change is in force elsewhere already: an election by the old membership could elect a second leader. */
function hasUnappliedConf(s: RaftState): boolean {
  for (let from = s.log.applied + 1; from <= s.log.committed;) {
    const entries = s.log.slice(from, s.log.committed + 1, SCAN_BYTES);
    if (entries === undefined || entries.some((entry) => entry.type === "conf")) return true;
    from += entries.length;
  }
  return false;
}

function becomeCandidate(s: RaftState, force: boolean): void {
  s.becomeCandidate();
  // The own vote counts once it is on disk: see `countOwnVote`.
  requestVotes(s, force);
}

/** The hard state with the vote for itself is on disk. */
export function countOwnVote(s: RaftState): void {
  if (s.role !== "candidate") return;
  s.votes.set(s.id, true);
  countVotes(s);
}

/** Asks the voters that have not answered. */
function requestVotes(s: RaftState, force: boolean): void {
  const type = s.role === "candidate" ? "vote" : "pre-vote";
  const term = s.role === "candidate" ? s.term : s.term + 1;
  for (const to of s.conf.voters) {
    if (to === s.id || s.votes.has(to)) continue;
    s.send({
      type,
      from: s.id,
      to,
      term,
      lastIndex: s.log.lastIndex(),
      lastTerm: s.log.lastTerm(),
      force,
      expect: s.expectOf(to),
    });
  }
}

/** Whether the election is decided, after acting upon it. */
function countVotes(s: RaftState): boolean {
  let granted = 0;
  let rejected = 0;
  for (const id of s.conf.voters) {
    const vote = s.votes.get(id);
    if (vote === true) granted++;
    else if (vote === false) rejected++;
  }
  if (granted >= s.quorum()) {
    if (s.role === "pre-candidate") {
      becomeCandidate(s, false);
    } else {
      s.becomeLeader();
      maybeCommit(s);
    }
    return true;
  }
  if (rejected > s.conf.voters.length - s.quorum()) {
    s.becomeFollower(s.term, "");
    return true;
  }
  return false;
}

/** A tick of a follower or candidate. */
export function tickElection(s: RaftState): void {
  s.electionElapsed++;
  if (s.electionElapsed >= s.electionTimeout) {
    s.electionElapsed = 0;
    // Whether or not this member may campaign itself: it is not bound to that leader any more.
    s.leader = "";
    maybeCampaign(s, "pre-vote");
    return;
  }
  if (s.role !== "follower" && s.electionElapsed % RETRY_TICKS === 0) requestVotes(s, false);
}

/**
 * The connection from the leader closed, so it is probably gone: do not wait for the timeout. Members
 * take turns by id, so that they do not split the vote.
 */
export function leaderLost(s: RaftState): void {
  if (s.role !== "follower" || s.leader === "" || s.leader === s.id) return;
  const lost = s.leader;
  s.becomeFollower(s.term, "");
  const rank = s.conf.voters.filter((id) => id !== lost).indexOf(s.id);
  if (rank >= 0) s.electionTimeout = Math.min(s.electionTimeout, 1 + rank * SUCCESSION_TICKS);
}

/** Whether this member ignores `m` because it still follows a leader. */
export function isDisruptive(s: RaftState, m: VoteRequest): boolean {
  return m.term > s.term && !m.force && s.inLease();
}

/** A request with this member's term, or a pre-vote with a later one. */
export function handleVoteRequest(s: RaftState, m: VoteRequest): void {
  const mayVote = m.type === "pre-vote" && m.term > s.term
    ? true
    : s.rules.mayVote(s.vote, s.leader, m.from);
  const upToDate = s.rules.logUpToDate(
    { term: m.lastTerm, index: m.lastIndex },
    { term: s.log.lastTerm(), index: s.log.lastIndex() },
  );
  const granted = m.term >= s.term && mayVote && upToDate &&
    s.log.lastIndex() >= s.config.joinedIndex;
  if (granted && m.type === "vote") {
    s.vote = m.from;
    s.electionElapsed = 0;
  }
  reply(s, m, granted);
}

function reply(s: RaftState, m: VoteRequest, granted: boolean): void {
  s.send({
    type: m.type === "vote" ? "vote-reply" : "pre-vote-reply",
    from: s.id,
    to: m.from,
    // A granted pre-vote belongs to the election to come, a refusal tells the term of now.
    term: granted ? m.term : s.term,
    reject: !granted,
    expect: s.expectOf(m.from),
    commit: s.log.committed,
    commitTerm: s.log.term(s.log.committed) ?? 0,
  });
}

/** A request of an earlier term: the answer lets the sender catch up. */
export function refuseVote(s: RaftState, m: VoteRequest): void {
  reply(s, m, false);
}

/**
 * Takes over the commit index of a voter, whatever its term. Index and term determine an entry and all before
 * it (5.3), so an entry that this log has, too, is the one that was committed.
 */
export function learnCommit(s: RaftState, m: VoteReply): void {
  if (s.role === "leader" || m.commitTerm === 0 || s.log.term(m.commit) !== m.commitTerm) return;
  s.log.commitTo(m.commit);
}

export function handleVoteReply(s: RaftState, m: VoteReply): void {
  const expected = s.role === "candidate"
    ? "vote-reply"
    : s.role === "pre-candidate"
    ? "pre-vote-reply"
    : undefined;
  if (m.type !== expected || s.votes.has(m.from)) return;
  s.votes.set(m.from, !m.reject);
  countVotes(s);
}

/** The leader asks this member to take over. */
export function handleTimeoutNow(s: RaftState, from: RaftId): void {
  if (from === s.leader && s.isVoter(s.id)) maybeCampaign(s, "transfer");
}
