import type { Clock } from "../../base/clock.ts";
import { FleetError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";

/** What a user of the dashboard may do: look, or also change. */
export type UiRole = "read-only" | "operator";

export interface UiSession {
  readonly id: string;
  readonly role: UiRole;
  /** Who asked for the link, in the audit log's words. */
  readonly user: string;
  /** What a page has to say with every change, so that no other site's page can make one. */
  readonly csrf: string;
  readonly expiresAtMs: number;
}

/** A link that nobody has opened is worth nothing after this. */
export const LINK_LIFE_MS = 5 * 60_000;
/** A day's work; then another link is asked for. */
export const SESSION_LIFE_MS = 12 * 3_600_000;
const MAX_LINKS = 64;
const MAX_SESSIONS = 256;
const SECRET_BYTES = 32;

/**
 * Who may use the dashboard: whoever may use the agent's socket asks for a link that works once and soon
 * ends; opening it makes a session. All of it is this process's memory only, so a restart ends every session.
 */
export class UiSessions {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #links = new Map<string, { role: UiRole; user: string; expiresAtMs: number }>();
  readonly #sessions = new Map<string, UiSession>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The secret of a new link. The oldest unopened one makes room when there are too many. */
  createLink(role: UiRole, user: string): string {
    this.#forgetExpired();
    makeRoom(this.#links, MAX_LINKS);
    const secret = this.#secret();
    this.#links.set(secret, { role, user, expiresAtMs: this.#clock.now() + LINK_LIFE_MS });
    return secret;
  }

  /** A session for whoever has the link; the link is used up. @throws FleetError unauthorized */
  openLink(secret: string): UiSession {
    this.#forgetExpired();
    const link = this.#links.get(secret);
    if (!link) {
      throw new FleetError(
        "unauthorized",
        "this link was used already or is older than 5 minutes: get a new one with fleet ui",
      );
    }
    this.#links.delete(secret);
    makeRoom(this.#sessions, MAX_SESSIONS);
    const session: UiSession = {
      id: this.#secret(),
      role: link.role,
      user: link.user,
      csrf: this.#secret(),
      expiresAtMs: this.#clock.now() + SESSION_LIFE_MS,
    };
    this.#sessions.set(session.id, session);
    return session;
  }

  /** The session of a cookie, or undefined for a forged, ended or expired one. */
  find(id: string | undefined): UiSession | undefined {
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (!session || session.expiresAtMs > this.#clock.now()) return session;
    this.#sessions.delete(session.id);
    return undefined;
  }

  end(id: string): void {
    this.#sessions.delete(id);
  }

  #secret(): string {
    return this.#random.bytes(SECRET_BYTES).toBase64({ alphabet: "base64url", omitPadding: true });
  }

  #forgetExpired(): void {
    const now = this.#clock.now();
    for (const map of [this.#links, this.#sessions]) {
      for (const [key, { expiresAtMs }] of map) if (expiresAtMs <= now) map.delete(key);
    }
  }
}

/** Maps keep the order of insertion: the first is the oldest. */
function makeRoom(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size < max) return;
    map.delete(key);
  }
}
