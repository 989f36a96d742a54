import { formatHostPort, parseHostPort } from "../../base/addresses.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import { parseJoinToken } from "../../core/pki/join_token.ts";
import type { IssueReply } from "../manager/certificate_authority.ts";
import { DEFAULT_PORT } from "./addresses.ts";
import type { Credentials, NodeNetwork, Trust } from "./ports.ts";

/** What a successful join gives. */
export interface Joined {
  readonly reply: IssueReply;
  readonly credentials: Credentials;
  /** The manager that answered. */
  readonly managerAddr: string;
}

/** Clocks further apart than a certificate's back-dating would make it not yet valid. */
const MAX_CLOCK_SKEW_MS = 60 * 60 * 1000;

/**
 * Asks the managers one after the other to let this node in: fetches the root, compares its digest with
 * the token's, sends a CSR with the token, checks the certificate that comes back.
 * @throws FleetError invalid (token), unauthorized (refused), unavailable (nobody answered, each address named)
 */
export async function joinCluster(options: {
  readonly remoteAddrs: readonly string[];
  readonly token: string;
  readonly availability: string;
  readonly network: NodeNetwork;
  readonly trust: Trust;
  readonly nowMs: number;
}): Promise<Joined> {
  const { digest } = parseJoinToken(options.token);
  if (options.remoteAddrs.length === 0) {
    throw new FleetError(
      "invalid",
      "at least one remote address is needed: fleet join --token TOKEN HOST:PORT",
    );
  }
  const failures: string[] = [];
  for (const remote of options.remoteAddrs) {
    const address = formatHostPort(parseHostPort(remote, DEFAULT_PORT));
    try {
      return await joinThrough(address, digest, options);
    } catch (error) {
      if (error instanceof FleetError && !["unavailable", "timeout"].includes(error.kind)) {
        throw error;
      }
      failures.push(messageOf(error));
    }
  }
  throw new FleetError("unavailable", failures.join("; "));
}

async function joinThrough(
  address: string,
  digest: string,
  { token, availability, network, trust, nowMs }: Parameters<typeof joinCluster>[0],
): Promise<Joined> {
  const caPem = await fetchRoot(address, network, nowMs);
  if (!trust.equal(trust.caDigest(caPem), digest)) {
    throw new FleetError(
      "unauthorized",
      `remote CA does not match fingerprint: the cluster at ${address} is not the one that this token was made for, or its root was rotated; ask it for a new token`,
    );
  }
  const { keyPem, csrPem } = trust.createKeyAndCsr();
  const caller = await network.dialAnonymously(address, caPem);
  try {
    const reply = await caller.call("ca.issue", { csr: csrPem, token, availability }) as IssueReply;
    trust.verify(reply.certPem, caPem, nowMs);
    return {
      reply,
      // During a change of the root that is more than the token pins, told by whom the token vouches for.
      credentials: { caPem: reply.caPem, certPem: reply.certPem, keyPem },
      managerAddr: address,
    };
  } finally {
    caller.close();
  }
}

async function fetchRoot(address: string, network: NodeNetwork, nowMs: number): Promise<string> {
  const caller = await network.dialAnonymously(address, "unverified");
  try {
    const reply = await caller.call("ca.root", {}) as { caPem?: unknown; nowMs?: unknown };
    if (typeof reply.caPem !== "string") {
      throw new FleetError("unauthorized", `${address} does not answer like a fleet manager`);
    }
    if (typeof reply.nowMs === "number" && Math.abs(reply.nowMs - nowMs) > MAX_CLOCK_SKEW_MS) {
      const minutes = Math.round(Math.abs(reply.nowMs - nowMs) / 60_000);
      throw new FleetError(
        "invalid",
        `this machine's clock is ${minutes} minutes ${
          nowMs > reply.nowMs ? "ahead of" : "behind"
        } that of ${address}; set it (NTP) and join again`,
      );
    }
    return reply.caPem;
  } finally {
    caller.close();
  }
}
