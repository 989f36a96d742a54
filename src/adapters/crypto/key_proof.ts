import { Buffer } from "node:buffer";
import { sign, verify } from "node:crypto";
import { parseCertificates, parsePrivateKey } from "./x509.ts";

/** Longest signature that is looked at; one of a P-256 key has about 72 bytes. */
const MAX_SIGNATURE_LENGTH = 1_024;

/** Signs `text` with a node's key; base64. */
export function signText(keyPem: string, text: string): string {
  const key = parsePrivateKey(keyPem, "the node's key");
  return sign("sha256", Buffer.from(text), key).toString("base64");
}

/** Whether the key of a certificate signed `text`. @throws FleetError invalid for what is no certificate */
export function signedText(certPem: string, text: string, signature: string): boolean {
  if (signature.length > MAX_SIGNATURE_LENGTH) return false;
  const key = parseCertificates(certPem)[0]!.publicKey;
  return verify("sha256", Buffer.from(text), key, Buffer.from(signature, "base64"));
}

/** Whether the key is the certificate's. False for what cannot be read, too. */
export function belongTogether(certPem: string, keyPem: string): boolean {
  try {
    return parseCertificates(certPem)[0]!.checkPrivateKey(parsePrivateKey(keyPem, "the key"));
  } catch {
    return false;
  }
}
