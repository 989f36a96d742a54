import { FleetError } from "../../base/errors.ts";
import type { RaftState } from "./state.ts";
import type { ReadIndexReply, ReadIndexRequest } from "./message.ts";

/** Linearizable reads without writing to the log: dissertation §6.4. */

/** @throws FleetError unavailable without a leader, or when too many wait */
export function readIndex(s: RaftState, context: string): void {
  if (s.role === "leader") {
    enqueue(s, s.id, context);
    return;
  }
  if (s.leader === "") {
    throw new FleetError(
      "unavailable",
      "no manager leads at the moment, so a current read is not possible; try again in a few seconds",
    );
  }
  s.send({ type: "read-index", from: s.id, to: s.leader, term: s.term, context });
}

/** A follower asks. Requests that find no room get no answer: the follower's owner asks again. */
export function handleReadIndex(s: RaftState, m: ReadIndexRequest): void {
  if (s.role !== "leader") return;
  try {
    enqueue(s, m.from, m.context);
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
  }
}

export function handleReadIndexReply(s: RaftState, m: ReadIndexReply): void {
  s.readStates.push({ context: m.context, index: m.index });
}

function enqueue(s: RaftState, from: string, context: string): void {
  s.reads.add({ from, context }, s.committedInTerm() ? s.log.committed : undefined);
  answerReads(s);
}

/** The leader may have committed in its term: reads that waited for that can begin. */
export function releaseReads(s: RaftState): void {
  if (!s.committedInTerm()) return;
  s.reads.releaseEarly(s.log.committed);
  answerReads(s);
}

/** Answers the reads that enough members have confirmed. */
export function answerReads(s: RaftState): void {
  const confirmed = s.reads.take((round) => {
    let acks = 0;
    for (const progress of s.progress.values()) {
      if (progress.learner) continue;
      if (progress.id === s.id || progress.ackedRound >= round) acks++;
    }
    return s.rules.readConfirmed(acks, s.quorum());
  });
  for (const { from, context, index } of confirmed) {
    if (from === s.id) s.readStates.push({ context, index });
    else s.send({ type: "read-index-reply", from: s.id, to: from, term: s.term, context, index });
  }
}
