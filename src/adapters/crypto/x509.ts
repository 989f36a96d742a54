import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { Buffer } from "node:buffer";
import { FleetError } from "../../base/errors.ts";
import {
  bits,
  boolean,
  child,
  context,
  fromBinary,
  fromDer,
  integer,
  nothing,
  octets,
  oid,
  printableOrUtf8,
  sequence,
  set,
  time,
  toBinary,
  toDer,
} from "./der.ts";
import type { Asn1 } from "./der.ts";
import { pem, unpemAll } from "./pem.ts";

/** The parts of a subject that certificates of a cluster have. */
const NAME_OIDS = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  organizationalUnit: "2.5.4.11",
} as const;
export type NamePart = keyof typeof NAME_OIDS;

const SUBJECT_KEY_ID = "2.5.29.14";
const AUTHORITY_KEY_ID = "2.5.29.35";
export const KEY_USAGE = "2.5.29.15";
export const ALTERNATIVE_NAMES = "2.5.29.17";
export const BASIC_CONSTRAINTS = "2.5.29.19";
export const EXTENDED_KEY_USAGE = "2.5.29.37";

/** 16 random bytes: more than the 64 bits that are asked for, fewer than the 20 octets that are allowed. */
const SERIAL_BYTES = 16;

export interface CertificateContents {
  readonly subject: Asn1;
  readonly issuer: Asn1;
  readonly publicKeyDer: Uint8Array;
  readonly issuerKeyDer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** All but the key identifiers, which every certificate gets. */
  readonly extensions: readonly Asn1[];
}

/**
 * Builds and signs an X.509 v3 certificate (RFC 5280): structure by node-forge, which does not know
 * elliptic curves, signature by `node:crypto`.
 */
export function signCertificate(contents: CertificateContents, signer: KeyObject): string {
  const { identifier, digest } = signatureAlgorithm(signer);
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const tbs = sequence(
    context(0, true, [integer("\x02")]),
    integer(toBinary(serial)),
    identifier,
    contents.issuer,
    sequence(time(contents.notBeforeMs), time(contents.notAfterMs)),
    contents.subject,
    fromDer(contents.publicKeyDer),
    context(3, true, [sequence(
      ...contents.extensions,
      extension(SUBJECT_KEY_ID, false, octets(subjectKeyId(contents.publicKeyDer))),
      extension(
        AUTHORITY_KEY_ID,
        false,
        sequence(context(0, false, subjectKeyId(contents.issuerKeyDer))),
      ),
    )]),
  );
  const signature = sign(digest, toDer(tbs), signer);
  return pem("CERTIFICATE", toDer(sequence(tbs, identifier, bits(toBinary(signature)))));
}

/**
 * How `key` signs. Our own keys are on P-256; a root that was brought along may be another one.
 * @throws FleetError invalid
 */
export function signatureAlgorithm(key: KeyObject): { identifier: Asn1; digest: string } {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === "ec" && curve === "prime256v1") {
    return { identifier: sequence(oid("1.2.840.10045.4.3.2")), digest: "sha256" };
  }
  if (key.asymmetricKeyType === "ec" && curve === "secp384r1") {
    return { identifier: sequence(oid("1.2.840.10045.4.3.3")), digest: "sha384" };
  }
  if (key.asymmetricKeyType === "rsa") {
    return { identifier: sequence(oid("1.2.840.113549.1.1.11"), nothing()), digest: "sha256" };
  }
  throw new FleetError("invalid", "the CA's key is neither on P-256 or P-384 nor an RSA key");
}

export function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const wrapped = octets(toBinary(toDer(value)));
  return critical ? sequence(oid(id), boolean(true), wrapped) : sequence(oid(id), wrapped);
}

/** What marks a CA: it may sign certificates, and `pathLength` CAs may stand between it and a node. */
export function caExtensions(pathLength: number): Asn1[] {
  return [
    extension(
      BASIC_CONSTRAINTS,
      true,
      sequence(boolean(true), integer(String.fromCharCode(pathLength))),
    ),
    // keyCertSign, cRLSign
    extension(KEY_USAGE, true, bits("\x06", 1)),
  ];
}

export function nameOf(...parts: readonly (readonly [NamePart, string])[]): Asn1 {
  return sequence(
    ...parts.map(([part, value]) => set(sequence(oid(NAME_OIDS[part]), printableOrUtf8(value)))),
  );
}

/**
 * The parts of a subject, from its encoding: text forms cannot tell a line break in a value from the next
 * field. @throws when a part that we look at comes twice
 */
export function nameParts(name: Asn1): Partial<Record<NamePart, string>> {
  const out: Partial<Record<NamePart, string>> = {};
  for (const group of name.value as Asn1[]) {
    for (const pair of group.value as Asn1[]) {
      const id = toBinary(toDer(child(pair, 0)));
      for (const [part, dotted] of Object.entries(NAME_OIDS) as [NamePart, string][]) {
        if (id !== toBinary(toDer(oid(dotted)))) continue;
        if (out[part] !== undefined) throw new Error(`its subject has more than one ${part}`);
        out[part] = new TextDecoder().decode(fromBinary(child(pair, 1).value as string));
      }
    }
  }
  return out;
}

const TBS = { issuer: 3, subject: 5 } as const;

/** Subject or issuer of a certificate, as encoded in it. */
export function nameIn(certificate: X509Certificate, which: keyof typeof TBS): Asn1 {
  return child(child(fromDer(new Uint8Array(certificate.raw)), 0), TBS[which]);
}

/** Key identifier: SHA-1 of the key's bit string (RFC 5280, 4.2.1.2). */
function subjectKeyId(spki: Uint8Array): string {
  const bitString = fromBinary(child(fromDer(spki), 1).value as string);
  return toBinary(createHash("sha1").update(bitString.subarray(1)).digest());
}

/** Names a public key among those of a cluster's nodes: SHA-256 of the SubjectPublicKeyInfo, base64. */
export function keyId(spki: Uint8Array): string {
  return createHash("sha256").update(spki).digest("base64");
}

export function spkiOf(certificate: X509Certificate): Uint8Array {
  return new Uint8Array(certificate.publicKey.export({ type: "spki", format: "der" }));
}

/** A new key on P-256: PKCS#8 and SubjectPublicKeyInfo. */
export function newKey(): { key: KeyObject; keyPem: string; publicKeyDer: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    key: privateKey,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    publicKeyDer: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
  };
}

/** @throws FleetError invalid, without a word of the key */
export function parsePrivateKey(keyPem: string, what: string): KeyObject {
  try {
    return createPrivateKey(keyPem);
  } catch {
    throw new FleetError("invalid", `${what} cannot be read: expected an unencrypted key in PEM`);
  }
}

/** All certificates of a text, in order. @throws FleetError invalid when there is none or one is damaged */
export function parseCertificates(certPem: string): X509Certificate[] {
  const blocks = unpemAll("CERTIFICATE", certPem);
  try {
    if (blocks.length > 0) return blocks.map((der) => new X509Certificate(Buffer.from(der)));
  } catch {
    // Said below.
  }
  throw new FleetError("invalid", "the certificate cannot be read");
}

export const life = (certificate: X509Certificate) => ({
  notBeforeMs: Date.parse(certificate.validFrom),
  notAfterMs: Date.parse(certificate.validTo),
});

/** Whether `issuer` is a CA that signed `certificate`. */
export function signedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
