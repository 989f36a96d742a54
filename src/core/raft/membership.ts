import { FleetError } from "../../base/errors.ts";
import { applyToConf, changeOf, encodeConfChange, isMember } from "./conf_change.ts";
import { maybeCommit, sendFarewell, sendTimeoutNow } from "./replication.ts";
import type { RaftState } from "./state.ts";
import type { ConfChange, ConfState, Entry } from "./types.ts";

/**
 * Membership changes, one member at a time (dissertation §4.1 to §4.2). As in etcd, a change takes effect
 * where its entry is applied. That is safe because the next change is proposed only after the leader
 * applied this one: whoever holds the next change's entry has learned, from the same append and
 * persisted in the same write, that this one is committed, and does not campaign before applying it.
 */

/** A learner this close to the end of the log may become a voter without stalling commits for long. */
const MAX_PROMOTE_LAG = 1_000;

/** Refuses changes that cannot be. @throws FleetError invalid | conflict | unavailable */
function checkChange(s: RaftState, change: ConfChange): void {
  const { id, type } = change;
  const member = isMember(s.conf, id);
  switch (type) {
    case "add-learner":
      if (member) throw new FleetError("conflict", `${id} is a member already`);
      return;
    // It must know that it was added, or it would not vote (see `joinedIndex`).
    case "promote": {
      if (!member) throw new FleetError("invalid", `${id} is no member; add it as a learner first`);
      if (s.isVoter(id)) throw new FleetError("conflict", `${id} is a voter already`);
      const progress = s.progressOf(id);
      if (
        progress.state === "replicate" && progress.isHeard(s.config.electionTicks) &&
        progress.match >= Math.max(s.termStart, progress.joined) &&
        progress.match + MAX_PROMOTE_LAG >= s.log.lastIndex()
      ) return;
      throw new FleetError(
        "unavailable",
        `${id} has ${progress.match} of ${s.log.lastIndex()} log entries; promote it once it has caught up`,
      );
    }
    case "remove":
      if (!member) throw new FleetError("invalid", `${id} is no member`);
      if (s.isVoter(id) && s.conf.voters.length === 1) {
        throw new FleetError(
          "conflict",
          `${id} is the last voter; without it nothing can be decided`,
        );
      }
      return;
    case "add-voter":
      throw new FleetError("invalid", `"${type}" cannot be proposed to a running group`);
  }
}

/** Appends the change to the leader's log. The caller has checked that this member leads. */
export function proposeConfChange(s: RaftState, change: ConfChange): Entry {
  checkChange(s, change);
  if (!s.rules.mayChangeConf(s.pendingConfIndex, s.log.applied, s.committedInTerm())) {
    throw new FleetError(
      "unavailable",
      "another change of the managers' membership is under way; try again in a moment",
    );
  }
  const entry = s.appendOwn("conf", encodeConfChange(change));
  s.pendingConfIndex = entry.index;
  return entry;
}

/** Puts a committed change into force and returns the members after it. */
export function applyConfChange(s: RaftState, entry: Entry): ConfState {
  const change = changeOf(entry);
  const before = s.conf;
  const after = applyToConf(before, change);
  const left = [...before.voters, ...before.learners].filter((id) => !isMember(after, id));
  for (const id of left) {
    s.remembered.delete(id);
    const progress = s.progress.get(id);
    if (progress !== undefined && id !== s.id) sendFarewell(s, progress);
  }
  s.conf = after;
  if (s.role === "leader") {
    if (!s.isVoter(s.id)) s.resigning = entry.index;
    adoptAsLeader(s);
    const added = s.progress.get(change.id);
    if (added && change.type === "add-learner") added.joined = entry.index;
  } else if (s.role !== "follower" && !s.isVoter(s.id)) {
    s.becomeFollower(s.term, "");
  }
  return after;
}

function adoptAsLeader(s: RaftState): void {
  s.rebuildProgress();
  if (s.transferee !== "" && !s.isVoter(s.transferee)) s.transferee = "";
  s.flushNeeded = true;
  // The quorum may have become smaller.
  maybeCommit(s);
}

/** @throws FleetError unavailable | invalid */
export function transferLeadership(s: RaftState, to: string): void {
  if (s.role !== "leader") {
    if (s.leader === "") {
      throw new FleetError(
        "unavailable",
        "no manager leads at the moment; try again in a few seconds",
      );
    }
    s.send({ type: "transfer", from: s.id, to: s.leader, term: s.term, transferee: to });
    return;
  }
  if (!s.isVoter(to)) throw new FleetError("invalid", `${to} is no voter, so it cannot lead`);
  if (to === s.id || to === s.transferee) return;
  s.transferee = to;
  s.electionElapsed = 0;
  const progress = s.progressOf(to);
  if (progress.match === s.log.lastIndex()) sendTimeoutNow(s, to);
  else s.flushNeeded = true;
}
