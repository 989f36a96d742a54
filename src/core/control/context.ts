import type { Transaction } from "../store/transaction.ts";

/** What a control method gets beside its arguments. */
export interface ControlContext {
  readonly tx: Transaction;
  readonly nowMs: number;
  /** A fresh object id. */
  newId(): string;
  /** A fresh secret of `n` random bytes. */
  randomBytes(n: number): Uint8Array;
}
