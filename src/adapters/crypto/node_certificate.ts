import { Buffer } from "node:buffer";
import type { X509Certificate } from "node:crypto";
import { FleetError, messageOf } from "../../base/errors.ts";
import { nodeCertificatePolicy, roleOfUnit } from "../../core/pki/node_certificate.ts";
import type { Role } from "../../model/node.ts";
import { parseCsr } from "./certificate_request.ts";
import { bits, context, oid, sequence, toDer } from "./der.ts";
import {
  ALTERNATIVE_NAMES,
  BASIC_CONSTRAINTS,
  EXTENDED_KEY_USAGE,
  extension,
  KEY_USAGE,
  keyId,
  life,
  nameIn,
  nameOf,
  nameParts,
  parseCertificates,
  parsePrivateKey,
  signCertificate,
  signedBy,
  spkiOf,
} from "./x509.ts";

/** Facts of a node certificate. */
export interface CertificateFacts {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER of the issuer's subject, base64: Docker's TLSInfo. */
  readonly issuerDerBase64: string;
  /** DER of the issuer's public key, base64; empty unless the chain was verified. */
  readonly issuerKeyDerBase64: string;
  /** Names its public key: SHA-256 of the SubjectPublicKeyInfo, base64. */
  readonly keyId: string;
}

/** dNSName of GeneralName (RFC 5280, 4.2.1.6). */
const DNS_NAME = 2;
/** CAs that may stand between a root and a node. Bounded, since whoever sends the chain chooses how it knots. */
const MAX_INTERMEDIATES = 2;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/**
 * Signs a certificate for the key of a request; all else is the cluster's policy.
 * @throws FleetError invalid (request, ids), corrupt (root certificate and key do not belong together)
 */
export function issue(options: {
  caCertPem: string;
  caKeyPem: string;
  /** Appended to the result: the cross-signed CA during a rotation. */
  chainPem?: string;
  csrPem: string;
  nodeId: string;
  role: Role;
  clusterId: string;
  nowMs: number;
  validityMs: number;
}): {
  certPem: string;
  notBeforeMs: number;
  notAfterMs: number;
  keyId: string;
  issuerKeyDerBase64: string;
} {
  const publicKeyDer = parseCsr(options.csrPem);
  const ca = parseCertificates(options.caCertPem)[0]!;
  const caKey = parsePrivateKey(options.caKeyPem, "the root CA's key");
  if (!ca.checkPrivateKey(caKey)) {
    throw new FleetError("corrupt", "the root CA's certificate and key do not belong together");
  }
  const policy = nodeCertificatePolicy({ ...options, caNotAfterMs: life(ca).notAfterMs });
  const certPem = signCertificate({
    subject: nameOf(
      ["organization", policy.organization],
      ["organizationalUnit", policy.organizationalUnit],
      ["commonName", policy.commonName],
    ),
    issuer: nameIn(ca, "subject"),
    publicKeyDer,
    issuerKeyDer: spkiOf(ca),
    notBeforeMs: policy.notBeforeMs,
    notAfterMs: policy.notAfterMs,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, sequence()),
      // digitalSignature, keyEncipherment
      extension(KEY_USAGE, true, bits("\xa0", 5)),
      extension(EXTENDED_KEY_USAGE, false, sequence(oid(SERVER_AUTH), oid(CLIENT_AUTH))),
      extension(
        ALTERNATIVE_NAMES,
        false,
        sequence(...policy.dnsNames.map((name) => context(DNS_NAME, false, name))),
      ),
    ],
  }, caKey);
  return {
    certPem: certPem + (options.chainPem ?? ""),
    notBeforeMs: policy.notBeforeMs,
    notAfterMs: policy.notAfterMs,
    keyId: keyId(publicKeyDer),
    issuerKeyDerBase64: Buffer.from(spkiOf(ca)).toString("base64"),
  };
}

/** What a certificate says, without a check of who signed it. @throws FleetError invalid when it is not a node's */
export function inspect(certPem: string): CertificateFacts {
  return factsOf(parseCertificates(certPem)[0]!);
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  let parts: ReturnType<typeof nameParts>;
  try {
    parts = nameParts(nameIn(certificate, "subject"));
  } catch (error) {
    throw new FleetError("invalid", `the certificate cannot be read: ${messageOf(error)}`);
  }
  const { commonName: nodeId, organization: clusterId } = parts;
  const role = roleOfUnit(parts.organizationalUnit);
  if (!role || !nodeId || !clusterId) {
    throw new FleetError("invalid", "the certificate is not one of a cluster's node");
  }
  return {
    nodeId,
    role,
    clusterId,
    ...life(certificate),
    issuerDerBase64: Buffer.from(toDer(nameIn(certificate, "issuer"))).toString("base64"),
    issuerKeyDerBase64: "",
    keyId: keyId(spkiOf(certificate)),
  };
}

/**
 * Facts of a certificate that is in force and that a root of `rootPem` signed, directly or through CAs that
 * come with the certificate. @throws FleetError unauthorized, or invalid when it cannot be read
 */
export function verifyCertificate(
  certPem: string,
  rootPem: string,
  nowMs: number,
  /** So long after its end a certificate still passes. */
  graceMs = 0,
): CertificateFacts {
  const [leaf, ...others] = parseCertificates(certPem);
  const issuer = findIssuer(leaf!, parseCertificates(rootPem), others, nowMs);
  if (!issuer) {
    throw new FleetError("unauthorized", "the certificate was not signed by this cluster's root");
  }
  const facts = factsOf(leaf!);
  if (nowMs < facts.notBeforeMs || nowMs > facts.notAfterMs + graceMs) {
    throw new FleetError(
      "unauthorized",
      `the certificate is valid from ${new Date(facts.notBeforeMs).toISOString()} to ${
        new Date(facts.notAfterMs).toISOString()
      }, not now; check this machine's clock`,
    );
  }
  return { ...facts, issuerKeyDerBase64: Buffer.from(spkiOf(issuer)).toString("base64") };
}

/** The CA that signed `certificate`, if a path of at most `depth` others leads from it to a root. */
function findIssuer(
  certificate: X509Certificate,
  roots: readonly X509Certificate[],
  others: readonly X509Certificate[],
  nowMs: number,
  depth = MAX_INTERMEDIATES,
): X509Certificate | undefined {
  const inForce = (ca: X509Certificate) => {
    const { notBeforeMs, notAfterMs } = life(ca);
    return notBeforeMs <= nowMs && nowMs <= notAfterMs;
  };
  const root = roots.find((ca) => signedBy(certificate, ca) && inForce(ca));
  if (root || depth === 0) return root;
  return others.find((ca, i) =>
    signedBy(certificate, ca) && inForce(ca) &&
    findIssuer(ca, roots, others.filter((_, k) => k !== i), nowMs, depth - 1) !== undefined
  );
}
