import { changeOf } from "../../../src/core/raft/conf_change.ts";
import type { ConfState, Entry, Message, Ready } from "../../../src/core/raft/types.ts";
import type { RaftStatus } from "../../../src/core/raft/status.ts";

const decoder = new TextDecoder();

/** `5/2` is index 5 of term 2; a text follows after `=`, a membership change in parentheses. */
export function formatEntry(entry: Entry): string {
  const at = `${entry.index}/${entry.term}`;
  if (entry.type === "conf") {
    const change = changeOf(entry);
    return `${at}(${change.type} ${change.id})`;
  }
  return entry.data.length > 0 ? `${at}=${decoder.decode(entry.data)}` : at;
}

export function formatMessage(m: Message): string {
  const head = `${m.from}->${m.to} ${m.type} term=${m.term}`;
  return [head, ...details(m)].join(" ");
}

function details(m: Message): string[] {
  switch (m.type) {
    case "pre-vote":
    case "vote":
      return [`last=${m.lastIndex}/${m.lastTerm}`, ...(m.force ? ["force"] : [])];
    case "pre-vote-reply":
    case "vote-reply":
      return [m.reject ? "refused" : "granted"];
    case "append":
      return [
        `prev=${m.prevIndex}/${m.prevTerm}`,
        `commit=${m.commit}`,
        `[${m.entries.map(formatEntry).join(" ")}]`,
      ];
    case "append-reply":
      return m.reject
        ? [`refused=${m.index}`, `hint=${m.hintIndex}/${m.hintTerm}`]
        : [`match=${m.index}`];
    case "heartbeat":
      return [`commit=${m.commit}`, `round=${m.round}`];
    case "heartbeat-reply":
      return [`round=${m.round}`, ...(m.regressed ? ["regressed"] : [])];
    case "snapshot":
      return [`last=${m.snapshot.meta.index}/${m.snapshot.meta.term}`];
    case "timeout-now":
      return [];
    case "transfer":
      return [`transferee=${m.transferee}`];
    case "read-index":
      return [m.context];
    case "read-index-reply":
      return [m.context, `index=${m.index}`];
  }
}

/** What a Ready asks for, in the order in which it is done. */
export function formatReady(id: string, ready: Ready): string[] {
  const lines: string[] = [];
  const { softState, hardState, snapshot } = ready;
  if (softState) lines.push(`${softState.role}, leader ${softState.leader || "unknown"}`);
  for (const m of ready.messagesEarly) lines.push(`send early ${formatMessage(m)}`);
  if (snapshot) lines.push(`persist snapshot ${snapshot.meta.index}/${snapshot.meta.term}`);
  if (ready.entries.length > 0) {
    lines.push(`persist entries ${ready.entries.map(formatEntry).join(" ")}`);
  }
  if (hardState) {
    lines.push(
      `persist term=${hardState.term} vote=${hardState.vote || "-"} commit=${hardState.commit}`,
    );
  }
  if (ready.mustSync) lines.push("sync");
  for (const m of ready.messages) lines.push(`send ${formatMessage(m)}`);
  if (ready.committed.length > 0) {
    lines.push(`apply ${ready.committed.map(formatEntry).join(" ")}`);
  }
  for (const { context, index } of ready.readStates) {
    lines.push(`read ${context} at ${index}`);
  }
  if (ready.regressed) {
    lines.push(
      `regressed: expected ${ready.regressed.expected}, has ${ready.regressed.lastIndex}`,
    );
  }
  return lines.map((line) => `${id}: ${line}`);
}

export function formatStatus(s: RaftStatus): string {
  return `${s.id}: ${s.role} term=${s.term} leader=${s.leader || "-"} commit=${s.commit} ` +
    `last=${s.lastIndex}${s.regressed ? " regressed" : ""}`;
}

export function formatConf(conf: ConfState): string {
  const learners = conf.learners.length > 0 ? ` learners=${conf.learners.join(",")}` : "";
  return `voters=${conf.voters.join(",")}${learners}`;
}
