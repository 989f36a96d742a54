import type { PreparedRoot } from "../pki/root_change.ts";
import type { RootTools } from "../pki/roots.ts";
import type { Transaction } from "../store/transaction.ts";

/** What a control method gets beside its arguments. */
export interface ControlContext {
  readonly tx: Transaction;
  readonly nowMs: number;
  /** A fresh object id. */
  newId(): string;
  /** `n` fresh random bytes, fit for secrets. */
  randomBytes(n: number): Uint8Array;
  /** Makes, checks and signs roots. */
  readonly roots: RootTools;
  /** The W3C trace context of the request; absent while nobody traces. */
  readonly trace?: string;
  /** A new root that an external CA has signed for this very change. */
  readonly prepared?: PreparedRoot;
  /** The members of the raft group as the leader sees them. */
  readonly managers: readonly { readonly nodeId: string; readonly reachable: boolean }[];
}
