import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { X509Certificate } from "node:crypto";
import { FleetError } from "../../base/errors.ts";
import { base36 } from "../../base/ids.ts";
import { DIGEST_LENGTH } from "../../core/pki/join_token.ts";
import { BACKDATE_MS, CA_NAME } from "../../core/pki/node_certificate.ts";
import { toDer } from "./der.ts";
import {
  caExtensions,
  life,
  nameIn,
  nameOf,
  newKey,
  parseCertificates,
  parsePrivateKey,
  signCertificate,
  signedBy,
  spkiOf,
} from "./x509.ts";

const DAY_MS = 24 * 3_600_000;
/** 20 years, as in Docker Swarm. */
const CA_LIFE_MS = 20 * 365 * DAY_MS;
/** A root that is brought along must live so much longer. */
const MIN_CA_LEFT_MS = 365 * DAY_MS;
/** One CA may stand between a root and a node: the cross-signed one of a rotation. */
const ROOT_PATH_LENGTH = 1;

/** A new self-signed root: CN swarm-ca, P-256, 20 years. */
export function createRootCa(nowMs: number): { certPem: string; keyPem: string } {
  const { key, keyPem, publicKeyDer } = newKey();
  const name = nameOf(["commonName", CA_NAME]);
  const certPem = signCertificate({
    subject: name,
    issuer: name,
    publicKeyDer,
    issuerKeyDer: publicKeyDer,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + CA_LIFE_MS,
    extensions: caExtensions(ROOT_PATH_LENGTH),
  }, key);
  return { certPem, keyPem };
}

/** Facts of a root as Docker's TLSInfo and a rotation compare them. */
export interface RootFacts {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subjectDerBase64: string;
  readonly keyDerBase64: string;
}

/**
 * Checks a root that a person brought along, by SwarmKit's rules: one certificate, a CA, signed by itself,
 * in force, at least a year to live, with the given key if there is one.
 * @throws FleetError invalid, with the rule that is broken
 */
export function checkRootCa(certPem: string, keyPem: string | undefined, nowMs: number): RootFacts {
  const certificates = parseCertificates(certPem);
  const [root] = certificates;
  const invalid = (reason: string) => new FleetError("invalid", `the CA certificate ${reason}`);
  if (!root || certificates.length > 1) throw invalid("must come alone, without a chain");
  if (!root.ca) throw invalid("is not one of a CA (basicConstraints)");
  if (!signedBy(root, root)) throw invalid("is not signed by itself");
  const { notBeforeMs, notAfterMs } = life(root);
  if (nowMs < notBeforeMs) {
    throw invalid(`is valid only from ${new Date(notBeforeMs).toISOString()}`);
  }
  if (notAfterMs - nowMs < MIN_CA_LEFT_MS) {
    throw invalid(`ends on ${new Date(notAfterMs).toISOString()}; it needs a year to live`);
  }
  if (keyPem !== undefined && !root.checkPrivateKey(parsePrivateKey(keyPem, "the CA's key"))) {
    throw invalid("and the CA's key do not belong together");
  }
  return { notBeforeMs, notAfterMs, ...namesOf(root) };
}

/** What certificates of a root name as their issuer, of a root that was checked before. */
export function rootNames(certPem: string): Pick<RootFacts, "subjectDerBase64" | "keyDerBase64"> {
  return namesOf(parseCertificates(certPem)[0]!);
}

function namesOf(root: X509Certificate) {
  return {
    subjectDerBase64: Buffer.from(toDer(nameIn(root, "subject"))).toString("base64"),
    keyDerBase64: Buffer.from(spkiOf(root)).toString("base64"),
  };
}

/**
 * The new root's subject, key and dates, signed by the old root: sent along with certificates that the new
 * root signed, it makes them valid for nodes that still trust only the old one.
 * @throws FleetError invalid
 */
export function crossSign(options: {
  readonly newRootPem: string;
  readonly oldRootPem: string;
  readonly oldKeyPem: string;
}): string {
  const [fresh, old] = [parseCertificates(options.newRootPem)[0]!, options.oldRootPem];
  const signer = parseCertificates(old)[0]!;
  const key = parsePrivateKey(options.oldKeyPem, "the old root's key");
  if (!signer.checkPrivateKey(key)) {
    throw new FleetError("invalid", "the old root's certificate and key do not belong together");
  }
  return signCertificate({
    subject: nameIn(fresh, "subject"),
    issuer: nameIn(signer, "subject"),
    publicKeyDer: spkiOf(fresh),
    issuerKeyDer: spkiOf(signer),
    ...life(fresh),
    extensions: caExtensions(0),
  }, key);
}

/**
 * Checks what somebody else says is the new root signed by the old one.
 * @throws FleetError unavailable, since it is the signer that has to be set right
 */
export function checkCrossSigned(answerPem: string, newRootPem: string, oldRootPem: string): void {
  const [answer, fresh, old] = [answerPem, newRootPem, oldRootPem]
    .map((pem) => parseCertificates(pem)[0]!) as [
      X509Certificate,
      X509Certificate,
      X509Certificate,
    ];
  const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
  const subject = (certificate: X509Certificate) => toDer(nameIn(certificate, "subject"));
  const wrong = !answer.ca
    ? "a certificate that is no CA's"
    : !same(spkiOf(answer), spkiOf(fresh))
    ? "a certificate for another key"
    : !same(subject(answer), subject(fresh))
    ? "a certificate with another subject"
    : !signedBy(answer, old)
    ? "a certificate that the root in force did not sign"
    : undefined;
  if (wrong) {
    throw new FleetError(
      "unavailable",
      `the external CA returned ${wrong} for the new root; its profile CA has to sign CAs as they are asked for`,
    );
  }
}

/** SHA-256 over the exact PEM bytes, as join tokens carry it. */
export function caDigest(caPem: string): string {
  return base36(new Uint8Array(createHash("sha256").update(caPem).digest()), DIGEST_LENGTH);
}
