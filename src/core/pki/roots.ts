import type { Issuer, RootCA } from "../../model/cluster.ts";
import { normalizePem } from "./pem_text.ts";

/** What can be done with roots; `adapters/crypto` does it. Synchronous, since it happens inside transactions. */
export interface RootTools {
  createRootCa(nowMs: number): { certPem: string; keyPem: string };
  /** @throws FleetError invalid with the rule that a root breaks which a person brought along */
  checkRootCa(certPem: string, keyPem: string | undefined, nowMs: number): RootFacts;
  /** The new root's subject and key in a certificate that the old root signs. */
  crossSign(options: { newRootPem: string; oldRootPem: string; oldKeyPem: string }): string;
  /** Digest of the root as join tokens pin it. */
  caDigest(caPem: string): string;
}

export interface RootFacts {
  /** DER, base64. */
  readonly subjectDerBase64: string;
  readonly keyDerBase64: string;
}

export function issuerOf(facts: RootFacts): Issuer {
  return { Subject: facts.subjectDerBase64, PublicKey: facts.keyDerBase64 };
}

/** What new certificates are signed with. */
export interface SigningRoot {
  readonly certPem: string;
  /** Absent when only an external CA has it. */
  readonly keyPem: string | undefined;
  /** Goes along with every certificate, for nodes that trust only the root before. */
  readonly chainPem: string | undefined;
  readonly issuer: Issuer | undefined;
}

/** During a rotation that is the new root already. */
export function signingRoot({ CACert, CAKey, Issuer, Rotation }: RootCA): SigningRoot {
  return Rotation
    ? {
      certPem: Rotation.CACert,
      keyPem: Rotation.CAKey,
      chainPem: Rotation.CrossSignedCACert,
      issuer: Rotation.Issuer,
    }
    : { certPem: CACert, keyPem: CAKey, chainPem: undefined, issuer: Issuer };
}

/** All roots that a node shall trust now: during a rotation the old and the new one. */
export function trustBundle({ CACert, Rotation }: RootCA): string {
  return Rotation ? normalizePem(CACert) + normalizePem(Rotation.CACert) : CACert;
}

/** The external CAs that sign for `rootPem`; one without a certificate of its own signs for the root in force. */
export function externalCasFor<T extends { readonly CACert?: string }>(
  externals: readonly T[] | undefined,
  rootPem: string,
  inForcePem: string,
): T[] {
  const wanted = normalizePem(rootPem);
  return (externals ?? []).filter(({ CACert }) => normalizePem(CACert || inForcePem) === wanted);
}
