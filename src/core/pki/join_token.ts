import { FleetError } from "../../base/errors.ts";
import { base36 } from "../../base/ids.ts";

/** SHA-256 of the root's PEM bytes in base 36. */
export const DIGEST_LENGTH = 50;
/** 16 random bytes in base 36. */
export const SECRET_LENGTH = 25;
const PREFIX = "SWMTKN";
const VERSION = "1";

export interface JoinToken {
  /** Pins the root CA: a node trusts only a cluster whose root has this digest. */
  readonly digest: string;
  readonly secret: string;
}

/** `SWMTKN-1-<digest>-<secret>`, Docker Swarm's format. `secret` has 16 bytes. */
export function formatJoinToken(digest: string, secret: Uint8Array): string {
  return `${PREFIX}-${VERSION}-${digest}-${base36(secret, SECRET_LENGTH)}`;
}

/** @throws FleetError invalid */
export function parseJoinToken(text: string): JoinToken {
  const [prefix, version, digest = "", secret = "", ...rest] = text.trim().split("-");
  const fits = prefix === PREFIX && version === VERSION && rest.length === 0 &&
    digest.length === DIGEST_LENGTH && secret.length === SECRET_LENGTH &&
    /^[0-9a-z]+$/.test(digest + secret);
  if (!fits) {
    throw new FleetError(
      "invalid",
      "invalid join token: it looks like SWMTKN-1-…; fleet join-token worker on a manager prints it",
    );
  }
  return { digest, secret };
}
