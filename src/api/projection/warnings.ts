import { Allocator } from "../../core/allocator/allocator.ts";
import type { View } from "../../model/view.ts";
import { toleranceSentence } from "../tolerance.ts";
import { certificateWarnings } from "./certificates.ts";

/** Networks that a list of warnings names; one sentence counts the others. */
const MAX_NAMED = 5;
/** Counting addresses means looking at every task; what fills up in this time is told by the next answer. */
const COUNTED_FOR_MS = 10_000;

/** What a cluster's owner should know without asking for it. */
export interface Warnings {
  /** Sentences without a prefix. `voters` and `reachable` are numbers of managers. */
  sentences(view: View, voters: number, reachable: number, nowMs: number): string[];
}

/** Remembers for a while which networks are nearly full. */
export function clusterWarnings(): Warnings {
  let counted: { sentences: string[]; untilMs: number } | undefined;
  return {
    sentences(view, voters, reachable, nowMs) {
      if (!counted || nowMs >= counted.untilMs) {
        counted = { sentences: networkWarnings(view), untilMs: nowMs + COUNTED_FOR_MS };
      }
      return [
        ...managerWarnings(voters, reachable),
        ...certificateWarnings(view, nowMs),
        ...counted.sentences,
      ];
    },
  };
}

/** Docker warns of two managers, and four are no better: one more does not help against failures, it adds one. */
function managerWarnings(voters: number, reachable: number): string[] {
  return voters > 0 && voters % 2 === 0 ? [toleranceSentence(voters, reachable)] : [];
}

function networkWarnings(view: View): string[] {
  const allocator = new Allocator();
  allocator.resync(view);
  const sentences = allocator.nearlyFull(view).map(({ network, used, capacity }) =>
    `network ${network.Spec.Name} is running out of addresses: ${used} of ${capacity} are given out`
  );
  const more = sentences.length - MAX_NAMED;
  if (more <= 0) return sentences;
  return [...sentences.slice(0, MAX_NAMED), `and ${more} other networks`];
}
