/**
 * Expected failures. Every one carries a `kind`; `src/api/error_status.ts` is the only place where
 * kinds become HTTP statuses, and the CLI the only one where they become exit codes.
 */
export type ErrorKind =
  /** The caller's input is wrong: 400. */
  | "invalid"
  /** No such object: 404. */
  | "not-found"
  /** The name is taken, or the state forbids it: 409. */
  | "conflict"
  /** The object changed since the caller read it: 500 with Docker's sentence. */
  | "out-of-sequence"
  /** The caller has not proven who it is: 401. */
  | "unauthorized"
  /** The caller may not do this: 403. */
  | "forbidden"
  /** Not now, or not on this node (no manager, locked, no leader): 503. */
  | "unavailable"
  /** Docker knows it, fleet does not do it: 501. */
  | "unimplemented"
  /** A deadline passed: 500. */
  | "timeout"
  /** The caller gave up. */
  | "canceled"
  /** Stored data cannot be trusted. The node stops rather than starting over. */
  | "corrupt"
  /** Anything else: 500. */
  | "internal";

/** An expected failure with a sentence for the person who meets it. */
export class FleetError extends Error {
  override readonly name = "FleetError";
  readonly kind: ErrorKind;
  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** `FleetError` of a caught value's kind; anything foreign is `internal`. */
export function kindOf(error: unknown): ErrorKind {
  if (error instanceof FleetError) return error.kind;
  if (error instanceof DOMException && error.name === "AbortError") return "canceled";
  if (error instanceof DOMException && error.name === "TimeoutError") return "timeout";
  return "internal";
}

/** The sentence of a caught value, without its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
