import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
  X509Certificate,
} from "node:crypto";
import { Buffer } from "node:buffer";
import { FleetError } from "../../base/errors.ts";
import { base36 } from "../../base/ids.ts";
import { DIGEST_LENGTH } from "../../core/pki/join_token.ts";
import {
  bits,
  boolean,
  child,
  context,
  fromBinary,
  fromDer,
  integer,
  octets,
  oid,
  sequence,
  set,
  time,
  toBinary,
  toDer,
  utf8,
} from "./der.ts";
import type { Asn1 } from "./der.ts";
import { pem, unpem } from "./pem.ts";

const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const OIDS = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  organizationalUnit: "2.5.4.11",
} as const;
const CA_YEARS_MS = 20 * 365 * 24 * 3600 * 1000;
/** Certificates begin this long before they are made, for clocks that lag (SwarmKit does the same). */
const BACKDATE_MS = 3600 * 1000;
const ORGANIZATIONAL_UNIT = { manager: "swarm-manager", worker: "swarm-worker" } as const;

type Role = keyof typeof ORGANIZATIONAL_UNIT;

/** Facts of a node certificate. */
export interface CertificateFacts {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER of the issuer's subject and public key, base64: Docker's TLSInfo. */
  readonly issuerDerBase64: string;
  readonly issuerKeyDerBase64: string;
}

type Name = readonly (readonly [keyof typeof OIDS, string])[];

function nameOf(name: Name): Asn1 {
  return sequence(...name.map(([kind, value]) => set(sequence(oid(OIDS[kind]), utf8(value)))));
}

interface Contents {
  readonly subject: Asn1;
  readonly issuer: Asn1;
  readonly publicKeyDer: Uint8Array;
  readonly issuerKeyDer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Asn1[];
}

/** Builds and signs an X.509 v3 certificate (RFC 5280): structure by node-forge, signature by node:crypto. */
function certificate(contents: Contents, signerKeyPem: string): string {
  const algorithm = sequence(oid(ECDSA_SHA256));
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const keyId = (der: Uint8Array) => toBinary(createHash("sha1").update(rawKey(der)).digest());
  const tbs = sequence(
    context(0, true, [integer("\x02")]),
    integer(toBinary(serial)),
    algorithm,
    contents.issuer,
    sequence(time(contents.notBeforeMs), time(contents.notAfterMs)),
    contents.subject,
    fromDer(contents.publicKeyDer),
    context(3, true, [sequence(
      ...contents.extensions,
      extension("2.5.29.14", false, octets(keyId(contents.publicKeyDer))),
      extension("2.5.29.35", false, sequence(context(0, false, keyId(contents.issuerKeyDer)))),
    )]),
  );
  const signature = sign("sha256", toDer(tbs), createPrivateKey(signerKeyPem));
  return pem("CERTIFICATE", toDer(sequence(tbs, algorithm, bits(toBinary(signature)))));
}

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const wrapped = octets(toBinary(toDer(value)));
  return critical ? sequence(oid(id), boolean(true), wrapped) : sequence(oid(id), wrapped);
}

/** The bit string of a SubjectPublicKeyInfo: what key identifiers hash. */
function rawKey(spki: Uint8Array): Uint8Array {
  const value = fromBinary(child(fromDer(spki), 1).value as string);
  return value.subarray(1);
}

function newKey(): { keyPem: string; publicKeyDer: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    publicKeyDer: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
  };
}

/** A new self-signed root: CN swarm-ca, P-256, 20 years. */
export function createRootCa(nowMs: number): { certPem: string; keyPem: string } {
  const { keyPem, publicKeyDer } = newKey();
  const name = nameOf([["commonName", "swarm-ca"]]);
  const certPem = certificate({
    subject: name,
    issuer: name,
    publicKeyDer,
    issuerKeyDer: publicKeyDer,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + CA_YEARS_MS,
    extensions: [
      extension("2.5.29.19", true, sequence(boolean(true), integer("\x01"))),
      extension("2.5.29.15", true, bits("\x06", 1)),
    ],
  }, keyPem);
  return { certPem, keyPem };
}

/** A new P-256 key and a PKCS#10 request for it with an empty subject: the signer decides the rest. */
export function createKeyAndCsr(): { keyPem: string; csrPem: string } {
  const { keyPem, publicKeyDer } = newKey();
  const info = sequence(
    integer("\x00"),
    sequence(),
    fromDer(publicKeyDer),
    context(0, true, []),
  );
  const signature = sign("sha256", toDer(info), createPrivateKey(keyPem));
  const csr = sequence(info, sequence(oid(ECDSA_SHA256)), bits(toBinary(signature)));
  return { keyPem, csrPem: pem("CERTIFICATE REQUEST", toDer(csr)) };
}

/** The public key of a request, once its own signature holds. @throws FleetError invalid */
function publicKeyOf(csrPem: string): Uint8Array {
  try {
    const der = unpem("CERTIFICATE REQUEST", csrPem);
    if (!der) throw new Error("no PEM block");
    const csr = fromDer(der);
    const info = child(csr, 0);
    const spki = toDer(child(info, 2));
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
      throw new Error("the key is not on P-256");
    }
    const signature = fromBinary(child(csr, 2).value as string).subarray(1);
    if (!verify("sha256", toDer(info), key, signature)) throw new Error("its signature is wrong");
    return spki;
  } catch (error) {
    throw new FleetError(
      "invalid",
      `invalid certificate request: ${error instanceof Error ? error.message : error}`,
    );
  }
}

export function issue(options: {
  caCertPem: string;
  caKeyPem: string;
  csrPem: string;
  nodeId: string;
  role: Role;
  clusterId: string;
  nowMs: number;
  validityMs: number;
}): { certPem: string; notAfterMs: number } {
  const publicKeyDer = publicKeyOf(options.csrPem);
  const ca = new X509Certificate(options.caCertPem);
  const unit = ORGANIZATIONAL_UNIT[options.role];
  const names = [unit, options.nodeId, ...(options.role === "manager" ? ["swarm-ca"] : [])];
  const notAfterMs = options.nowMs + options.validityMs;
  const certPem = certificate({
    subject: nameOf([
      ["organization", options.clusterId],
      ["organizationalUnit", unit],
      ["commonName", options.nodeId],
    ]),
    issuer: subjectOf(ca),
    publicKeyDer,
    issuerKeyDer: new Uint8Array(ca.publicKey.export({ type: "spki", format: "der" })),
    notBeforeMs: options.nowMs - BACKDATE_MS,
    notAfterMs,
    extensions: [
      extension("2.5.29.19", true, sequence()),
      extension("2.5.29.15", true, bits("\xa0", 5)),
      extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))),
      extension("2.5.29.17", false, sequence(...names.map((name) => context(2, false, name)))),
    ],
  }, options.caKeyPem);
  return { certPem, notAfterMs };
}

function subjectOf(cert: X509Certificate): Asn1 {
  return child(child(fromDer(new Uint8Array(cert.raw)), 0), 5);
}

/** @throws FleetError invalid when it is not a node's certificate */
export function inspect(certPem: string): CertificateFacts {
  const cert = parse(certPem);
  const fields = new Map(
    cert.subject.split("\n").map((line) => line.split("=", 2) as [string, string]),
  );
  const unit = fields.get("OU");
  const role = unit === "swarm-manager"
    ? "manager"
    : unit === "swarm-worker"
    ? "worker"
    : undefined;
  const nodeId = fields.get("CN");
  const clusterId = fields.get("O");
  if (!role || !nodeId || !clusterId) {
    throw new FleetError("invalid", "the certificate is not one of a cluster's node");
  }
  const tbs = child(fromDer(new Uint8Array(cert.raw)), 0);
  return {
    nodeId,
    role,
    clusterId,
    notBeforeMs: Date.parse(cert.validFrom),
    notAfterMs: Date.parse(cert.validTo),
    issuerDerBase64: Buffer.from(toDer(child(tbs, 3))).toString("base64"),
    issuerKeyDerBase64: "",
  };
}

/** Facts of a certificate that `rootPem` signed and that is in force. @throws FleetError unauthorized */
export function verifyCertificate(
  certPem: string,
  rootPem: string,
  nowMs: number,
): CertificateFacts {
  const cert = parse(certPem);
  const root = parse(rootPem);
  if (!cert.verify(root.publicKey)) {
    throw new FleetError("unauthorized", "the certificate was not signed by this cluster's root");
  }
  const facts = inspect(certPem);
  if (nowMs < facts.notBeforeMs || nowMs > facts.notAfterMs) {
    throw new FleetError(
      "unauthorized",
      `the certificate is valid from ${new Date(facts.notBeforeMs).toISOString()} to ${
        new Date(facts.notAfterMs).toISOString()
      }, not now; check this machine's clock`,
    );
  }
  return {
    ...facts,
    issuerKeyDerBase64: root.publicKey.export({ type: "spki", format: "der" }).toString("base64"),
  };
}

function parse(certPem: string): X509Certificate {
  try {
    return new X509Certificate(certPem);
  } catch {
    throw new FleetError("invalid", "the certificate cannot be read");
  }
}

/** SHA-256 over the exact PEM bytes, as join tokens carry it. */
export function caDigest(caPem: string): string {
  return base36(new Uint8Array(createHash("sha256").update(caPem).digest()), DIGEST_LENGTH);
}

/** Compares in constant time. */
export function equalTexts(a: string, b: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}
