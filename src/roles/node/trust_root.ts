import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { normalizePem } from "../../core/pki/pem_text.ts";
import type { TLSInfo } from "../../model/node.ts";
import type { HeldCredentials } from "./identity.ts";
import type { Credentials, Trust } from "./ports.ts";

/**
 * Trusts the roots that the cluster told it to, from the next handshake on; connections that are open stay.
 * A root under which the node's own certificate is not valid would shut it out, so it waits for a renewal.
 */
export function followTrustRoot(
  told: string | undefined,
  credentials: HeldCredentials,
  tools: {
    readonly trust: Trust;
    readonly nowMs: number;
    readonly logger: Logger;
    readonly save: (credentials: Credentials) => void;
  },
): void {
  const current = credentials.current();
  if (told === undefined || told === current.caPem) return;
  try {
    tools.trust.verify(current.certPem, told, tools.nowMs);
  } catch (error) {
    tools.logger.log("info", `the new trust root waits for a new certificate: ${messageOf(error)}`);
    return;
  }
  const next = { ...current, caPem: told };
  tools.save(next);
  credentials.replace(next);
  tools.logger.log("info", "trust root changed");
}

/**
 * What Docker's API tells of a node's certificate. During a change of the root a node trusts two; the first
 * is the one in force, and the cluster's own TLSInfo has only that one, too.
 */
export function tlsInfo({ certPem, caPem }: Credentials, trust: Trust, nowMs: number): TLSInfo {
  const inForce = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n?/.exec(caPem);
  const TrustRoot = inForce?.[0] ?? normalizePem(caPem);
  try {
    const facts = trust.verify(certPem, caPem, nowMs);
    return {
      TrustRoot,
      CertIssuerSubject: facts.issuerDerBase64,
      CertIssuerPublicKey: facts.issuerKeyDerBase64,
    };
  } catch {
    return { TrustRoot };
  }
}
