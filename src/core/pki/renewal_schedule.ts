/** A renewal falls between these parts of the certificate's life, as in SwarmKit. */
const EARLIEST_SHARE = 0.5;
const LATEST_SHARE = 0.8;
/** Failed renewals are tried again with a delay that doubles up to the limit. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 3_600_000;
/** So many doublings lead from the first delay to beyond the last; more would only overflow. */
const MAX_DOUBLINGS = 12;

const DAY_MS = 24 * 3_600_000;
/** A warning is due when a renewal is overdue and so many days are left. */
export const WARNING_DAYS = [30, 7, 1] as const;

/**
 * So long after its end a node's certificate still lets it fetch a new one, if the cluster knows its key:
 * a machine that was off for a season comes back by itself. Whoever holds the key could have renewed before.
 */
export const RENEWAL_GRACE_MS = 90 * DAY_MS;

/** The life of a certificate, milliseconds since 1970. */
export interface Life {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * When to renew: at a random moment, so that the nodes of a cluster do not all come at once.
 * @param random a float in [0, 1)
 * @returns wall clock, milliseconds; may have passed already
 */
export function renewalTime({ notBeforeMs, notAfterMs }: Life, random: number): number {
  const share = EARLIEST_SHARE + random * (LATEST_SHARE - EARLIEST_SHARE);
  return notBeforeMs + (notAfterMs - notBeforeMs) * share;
}

/** How long to wait after `failures` failed renewals (at least 1), in milliseconds. */
export function renewalRetryDelay(failures: number): number {
  const doublings = Math.min(Math.max(failures - 1, 0), MAX_DOUBLINGS);
  return Math.min(FIRST_RETRY_MS * 2 ** doublings, LAST_RETRY_MS);
}

/** Whole days until the end; negative once it has passed. */
export function daysLeft(notAfterMs: number, nowMs: number): number {
  return Math.floor((notAfterMs - nowMs) / DAY_MS);
}

/**
 * The threshold of {@link WARNING_DAYS} that was crossed last, or undefined while none was. Whoever warns
 * keeps what was returned before and speaks when it changes.
 *
 * None counts before the latest planned renewal: until then the node may be as healthy as any.
 */
export function expiryWarning(life: Life, nowMs: number): number | undefined {
  if (nowMs <= renewalTime(life, 1)) return undefined;
  return WARNING_DAYS.findLast((days) => nowMs >= life.notAfterMs - days * DAY_MS);
}

/** One sentence when a threshold was crossed: renewals fail, and somebody has to look. */
export function expirySentence(node: string, life: Life, nowMs: number): string | undefined {
  if (expiryWarning(life, nowMs) === undefined && nowMs < life.notAfterMs) return undefined;
  const days = daysLeft(life.notAfterMs, nowMs);
  const when = days < 0
    ? `expired ${counted(-days)} ago`
    : days === 0
    ? "expires within a day"
    : `expires in ${counted(days)}`;
  return `the certificate of node ${node} ${when} and was not renewed: see the log of its agent`;
}

function counted(days: number): string {
  return days === 1 ? "1 day" : `${days} days`;
}
