/** What a source may spend at once, and gets back per second. */
const CAPACITY = 3_200;
const REFILL_PER_SECOND = 5;
/** A node that is let in costs little: a whole rack behind one address may join at once. */
const COST_ADMITTED = 1;
/** A refusal costs much: 64 wrong tokens at once (as many as may be connected), then one in ten seconds. */
const COST_REFUSED = 50;
/** Sources that are remembered; who has all of its credit need not be. */
const MAX_SOURCES = 4_096;

interface Account {
  credit: number;
  /** When `credit` was true, monotonic milliseconds. */
  atMs: number;
  /** Whether it was told that it has to wait, since it last had credit. */
  warned: boolean;
}

export type Verdict =
  | { readonly allowed: true }
  /** `first` for the one of a series that is worth a line in the log. */
  | { readonly allowed: false; readonly waitMs: number; readonly first: boolean };

/**
 * How often one source may try to join. Every attempt is paid for before it is looked at, as if it were
 * refused, so that attempts at the same time do not share one credit; who is let in gets the rest back.
 */
export class JoinAttempts {
  /** Oldest use first. */
  readonly #accounts = new Map<string, Account>();

  get size(): number {
    return this.#accounts.size;
  }

  /** `address` without port; `nowMs` monotonic. */
  begin(address: string, nowMs: number): Verdict {
    const source = sourceOf(address);
    const account = this.#accounts.get(source) ?? { credit: CAPACITY, atMs: nowMs, warned: false };
    account.credit = Math.min(CAPACITY, creditOf(account, nowMs));
    account.atMs = nowMs;
    this.#accounts.delete(source);
    this.#accounts.set(source, account);
    this.#forget(nowMs);
    if (account.credit < COST_REFUSED) {
      const first = !account.warned;
      account.warned = true;
      const waitMs = Math.ceil((COST_REFUSED - account.credit) / REFILL_PER_SECOND * 1000);
      return { allowed: false, waitMs, first };
    }
    account.warned = false;
    account.credit -= COST_REFUSED;
    return { allowed: true };
  }

  /** The attempt was none on our door: it was let in, or failed for a reason that is ours. */
  excuse(address: string): void {
    const account = this.#accounts.get(sourceOf(address));
    if (account) account.credit += COST_REFUSED - COST_ADMITTED;
  }

  /** Drops who has all credit again and, when that is not enough, whoever was not seen longest. */
  #forget(nowMs: number): void {
    if (this.#accounts.size <= MAX_SOURCES) return;
    for (const [source, account] of this.#accounts) {
      if (this.#accounts.size <= MAX_SOURCES / 2) return;
      if (creditOf(account, nowMs) >= CAPACITY) this.#accounts.delete(source);
    }
    for (const source of this.#accounts.keys()) {
      if (this.#accounts.size <= MAX_SOURCES) return;
      this.#accounts.delete(source);
    }
  }
}

function creditOf({ credit, atMs }: Account, nowMs: number): number {
  return credit + (nowMs - atMs) / 1000 * REFILL_PER_SECOND;
}

/** One machine has one IPv4 address, but a whole /64 of IPv6. */
export function sourceOf(address: string): string {
  const mapped = /^(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [before = "", after] = address.toLowerCase().split("%", 1)[0]!.split("::");
  const head = before.split(":").filter((part) => part !== "");
  if (after !== undefined) {
    const tail = after.split(":").filter((part) => part !== "").length;
    for (let missing = 8 - head.length - tail; missing > 0 && head.length < 4; missing--) {
      head.push("0");
    }
    for (const part of after.split(":")) if (part !== "" && head.length < 4) head.push(part);
  }
  return `${head.slice(0, 4).map((part) => part.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
