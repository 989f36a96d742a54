import type { MemoryStorage } from "../../src/core/raft/memory_storage.ts";
import { PAPER_RULES } from "../../src/core/raft/rules.ts";
import type { Rules } from "../../src/core/raft/rules.ts";
import type { HardState } from "../../src/core/raft/types.ts";

/** A way to be wrong, in the core's rules or in what is done around the core. */
export interface Mutation {
  readonly rules?: Rules;
  /** Sends everything before the disk has it. */
  readonly sendBeforeSync?: boolean;
  /** Takes the page cache for a disk. */
  readonly neverSync?: boolean;
  /** Tells the client that all is well once the leader has appended. */
  readonly acknowledgeEarly?: boolean;
  /** Changes what is persisted. */
  readonly hardState?: (hardState: HardState | undefined) => HardState | undefined;
  /** Changes what a starting process finds. */
  readonly onLoad?: (storage: MemoryStorage) => void;
}

export const CORRECT: Mutation = {};

const rules = (change: Partial<Rules>): Mutation => ({ rules: { ...PAPER_RULES, ...change } });

/** Known-bad cores: the simulator must find each of them. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "commits entries of earlier terms by counting": rules({ mayCommit: () => true }),
  "votes more than once in a term": rules({ mayVote: () => true }),
  "votes for candidates with older logs": rules({ logUpToDate: () => true }),
  "takes entries without checking the one before": rules({ logMatches: () => true }),
  "takes half of the members for a majority": rules({ quorum: (n) => Math.max(1, n >> 1) }),
  "answers reads without asking a majority": rules({ readConfirmed: () => true }),
  "changes the membership before the last change is committed": rules({
    mayChangeConf: () => true,
  }),
  "acknowledges and votes before its disk has it": { sendBeforeSync: true },
  "never syncs": { neverSync: true },
  "forgets its vote in a restart": {
    onLoad: (storage) => storage.setHardState({ ...storage.initialState().hardState, vote: "" }),
  },
  "acknowledges to the client before the commit": { acknowledgeEarly: true },
};
