import type { UiRole, UiSession } from "./sessions.ts";

/** Over TLS the prefix makes browsers refuse the cookie from anywhere but this very server. */
export function cookieName(secure: boolean): string {
  return secure ? "__Host-fleet-session" : "fleet-session";
}

export function sessionCookie(session: UiSession, secure: boolean, nowMs: number): string {
  const seconds = Math.floor((session.expiresAtMs - nowMs) / 1000);
  return cookieText(session.id, secure, seconds);
}

export function endedCookie(secure: boolean): string {
  return cookieText("", secure, 0);
}

function cookieText(value: string, secure: boolean, seconds: number): string {
  return `${cookieName(secure)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${
    secure ? "; Secure" : ""
  }`;
}

/** The session's id in a `Cookie` header. */
export function cookieOf(header: string | null, secure: boolean): string | undefined {
  const name = `${cookieName(secure)}=`;
  return header?.split(/;\s*/).find((part) => part.startsWith(name))?.slice(name.length);
}

/**
 * Nothing from anywhere but here, and no inline code. `nonce` is for the style sheets that the terminal
 * makes at run time.
 */
export function securityHeaders(nonce: string): Record<string, string> {
  return {
    "content-security-policy": [
      "default-src 'none'",
      "script-src 'self'",
      `style-src 'self' 'nonce-${nonce}'`,
      "img-src 'self' data:",
      "font-src 'self'",
      "connect-src 'self'",
      "manifest-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ].join("; "),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
  };
}

/** Whether a request comes from this server's own page, as far as the browser says. */
export function isSameOrigin({ headers, url }: Request): boolean {
  const origin = headers.get("origin");
  // HTTP/2, which browsers speak over TLS, has no Host header: its authority is in the address.
  const host = headers.get("host") ?? new URL(url).host;
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin") return false;
  if (origin === null) return false;
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}

/** Routes of the agent's API that the dashboard passes on, by what they need. Everything else is not there. */
const READ = [
  /^\/services(\/[^/]+(\/logs)?)?$/,
  /^\/tasks(\/[^/]+(\/logs)?)?$/,
  /^\/nodes(\/[^/]+)?$/,
  /^\/networks\/[^/]+$/,
  /^\/fleet\/(info|audit)$/,
  /^\/fleet\/nodes\/[^/]+\/health$/,
  /^\/info$/,
  /^\/events$/,
];
const CHANGE = [/^\/services\/[^/]+\/update$/, /^\/nodes\/[^/]+\/update$/];

/** Whether `role` may ask this of the agent's API. */
export function mayPass(role: UiRole, method: string, path: string): boolean {
  if (method === "GET") return READ.some((route) => route.test(path));
  return method === "POST" && role === "operator" && CHANGE.some((route) => route.test(path));
}
