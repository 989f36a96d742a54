import { base36 } from "../../base/ids.ts";
import { FleetError } from "../../base/errors.ts";
import type { IssuedToken } from "../../model/cluster.ts";
import { timeText } from "../../model/meta.ts";
import { SECRET_LENGTH } from "../pki/join_token.ts";
import type { ControlContext } from "./context.ts";
import { findCluster } from "./lookup.ts";
import type { ControlArgs, ControlResult } from "./methods.ts";

/** Tokens that exist at a time; those that can let nobody in any more do not count. */
const MAX_TOKENS = 1_000;
const MAX_USES = 1_000_000;

/** Makes a join token that ends by time, by use, or both. Spent and expired ones are forgotten. */
export function createToken(
  { tx, newId, randomBytes, nowMs }: ControlContext,
  { role, ttlMs, uses, labels }: ControlArgs<"token.create">,
): ControlResult<"token.create"> {
  if (ttlMs !== undefined && !(ttlMs > 0)) {
    throw new FleetError("invalid", "--ttl: a token has to live for some time");
  }
  if (uses !== undefined && !(Number.isInteger(uses) && uses >= 1 && uses <= MAX_USES)) {
    throw new FleetError("invalid", `--uses: a whole number from 1 to ${MAX_USES}`);
  }
  const cluster = findCluster(tx);
  const live = (cluster.IssuedTokens ?? []).filter((token) => isLive(token, nowMs));
  if (live.length >= MAX_TOKENS) {
    throw new FleetError(
      "conflict",
      `there are ${MAX_TOKENS} tokens already; revoke some with fleet token revoke`,
    );
  }
  // The digest of the root is the same in all tokens.
  const { Worker } = cluster.RootCA.JoinTokens;
  const secret = base36(randomBytes(16), SECRET_LENGTH);
  const token: IssuedToken = {
    ID: newId(),
    Role: role,
    Secret: `${Worker.slice(0, Worker.lastIndexOf("-"))}-${secret}`,
    CreatedAt: timeText(nowMs),
    ...(ttlMs === undefined ? {} : { ExpiresAt: timeText(nowMs + ttlMs) }),
    ...(uses === undefined ? {} : { UsesLeft: uses }),
    ...(Object.keys(labels).length > 0 ? { NodeLabels: labels } : {}),
  };
  tx.update("cluster", { ...cluster, IssuedTokens: [...live, token] });
  return { id: token.ID, token: token.Secret };
}

/** Takes a token away, by its id or the beginning of it. @throws FleetError not-found, invalid */
export function revokeToken({ tx }: ControlContext, args: ControlArgs<"token.revoke">): null {
  const cluster = findCluster(tx);
  const tokens = cluster.IssuedTokens ?? [];
  const found = tokens.filter(({ ID }) => args.id !== "" && ID.startsWith(args.id));
  if (found.length === 0) throw new FleetError("not-found", `token ${args.id} not found`);
  if (found.length > 1) {
    throw new FleetError(
      "invalid",
      `token ${args.id} is ambiguous (${found.length} matches found)`,
    );
  }
  tx.update("cluster", {
    ...cluster,
    IssuedTokens: tokens.filter((token) => token !== found[0]),
  });
  return null;
}

/** Whether a token could still let somebody in. */
export function isLive({ ExpiresAt, UsesLeft }: IssuedToken, nowMs: number): boolean {
  return UsesLeft !== 0 && (ExpiresAt === undefined || Date.parse(ExpiresAt) > nowMs);
}
