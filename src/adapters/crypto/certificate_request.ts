import { Buffer } from "node:buffer";
import { createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { FleetError, messageOf } from "../../base/errors.ts";
import { bits, child, context, fromBinary, fromDer, integer, sequence } from "./der.ts";
import { toBinary, toDer } from "./der.ts";
import { pem, unpemAll } from "./pem.ts";
import type { Asn1 } from "./der.ts";
import {
  keyId,
  nameIn,
  newKey,
  parseCertificates,
  parsePrivateKey,
  signatureAlgorithm,
  spkiOf,
} from "./x509.ts";

const LABEL = "CERTIFICATE REQUEST";
/** Largest request that is looked at; one with a P-256 key has about 350 bytes. */
const MAX_CSR_LENGTH = 8_192;

/** A new P-256 key and a PKCS#10 request for it with an empty subject: the signer decides the rest. */
export function createKeyAndCsr(): { keyPem: string; csrPem: string } {
  const { key, keyPem, publicKeyDer } = newKey();
  return { keyPem, csrPem: signedRequest(sequence(), publicKeyDer, key) };
}

/** A request for another certificate of a CA: its subject and its key. @throws FleetError invalid */
export function createCaCsr(caPem: string, caKeyPem: string): string {
  const ca = parseCertificates(caPem)[0]!;
  return signedRequest(
    nameIn(ca, "subject"),
    spkiOf(ca),
    parsePrivateKey(caKeyPem, "the CA's key"),
  );
}

function signedRequest(subject: Asn1, publicKeyDer: Uint8Array, key: KeyObject): string {
  const { identifier, digest } = signatureAlgorithm(key);
  const info = sequence(integer("\x00"), subject, fromDer(publicKeyDer), context(0, true, []));
  const signature = sign(digest, toDer(info), key);
  return pem(LABEL, toDer(sequence(info, identifier, bits(toBinary(signature)))));
}

/** Names the key of a request as `inspect` names that of a certificate. @throws FleetError invalid */
export function requestKeyId(csrPem: string): string {
  return keyId(parseCsr(csrPem));
}

/**
 * The public key (SubjectPublicKeyInfo) of a request whose own signature holds: whoever sent it has the
 * private key. Subject, names and extensions of the request are not read at all.
 * @throws FleetError invalid
 */
export function parseCsr(csrPem: string): Uint8Array {
  try {
    if (csrPem.length > MAX_CSR_LENGTH) {
      throw new Error(`it is longer than ${MAX_CSR_LENGTH} bytes`);
    }
    const der = unpemAll(LABEL, csrPem)[0];
    if (!der) throw new Error("it is no PEM block of that kind");
    const csr = fromDer(der);
    const info = child(csr, 0);
    const spki = toDer(child(info, 2));
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
      throw new Error("its key is not on P-256");
    }
    const signature = fromBinary(child(csr, 2).value as string).subarray(1);
    const { identifier, digest } = signatureAlgorithm(key);
    if (!verify(digest, toDer(info), key, signature)) throw new Error("its signature is wrong");
    // What the signature does not cover can only be one thing.
    const whole = toDer(sequence(info, identifier, bits(toBinary(signature))));
    if (toBinary(whole) !== toBinary(der)) throw new Error("its structure is wrong");
    return spki;
  } catch (error) {
    throw new FleetError("invalid", `invalid certificate request: ${messageOf(error)}`);
  }
}
