/**
 * The sentences on which Raft's safety rests, as pure functions: one place to read them, one place to
 * test them, and the place where the simulator's deliberately broken cores differ.
 * Sections are those of "In Search of an Understandable Consensus Algorithm" (extended version);
 * "dissertation" is Ongaro's "Consensus: Bridging Theory and Practice".
 */

/** The end of a log. */
export interface LogPosition {
  readonly term: number;
  readonly index: number;
}

export interface Rules {
  /** How many of `voters` members make a majority (§5.2). */
  quorum(voters: number): number;
  /**
   * Each member votes for at most one candidate per term, first come first served (§5.2); `leader` is
   * the leader already known in this term.
   */
  mayVote(vote: string, leader: string, candidate: string): boolean;
  /** A candidate's log must be at least as up to date as the voter's (§5.4.1). */
  logUpToDate(candidate: LogPosition, own: LogPosition): boolean;
  /** A follower takes entries only where its log agrees with the leader's just before (§5.3). */
  logMatches(ownTerm: number | undefined, prevTerm: number): boolean;
  /** Counting replicas commits only entries of the leader's own term (§5.4.2). */
  mayCommit(entryTerm: number, currentTerm: number): boolean;
  /** A leader answers reads only once `acks` members said after the request that it leads (§6.4 of the dissertation). */
  readConfirmed(acks: number, quorum: number): boolean;
  /** One membership change at a time, and none before the leader has committed in its own term. */
  mayChangeConf(pendingIndex: number, applied: number, committedInTerm: boolean): boolean;
}

export const PAPER_RULES: Rules = {
  quorum: (voters) => (voters >> 1) + 1,
  mayVote: (vote, leader, candidate) => vote === candidate || (vote === "" && leader === ""),
  logUpToDate: (candidate, own) =>
    candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index),
  logMatches: (ownTerm, prevTerm) => ownTerm === prevTerm,
  mayCommit: (entryTerm, currentTerm) => entryTerm === currentTerm,
  readConfirmed: (acks, quorum) => acks >= quorum,
  mayChangeConf: (pendingIndex, applied, committedInTerm) =>
    committedInTerm && pendingIndex <= applied,
};
