import { bits, context, oid, sequence } from "./der.ts";
import {
  ALTERNATIVE_NAMES,
  BASIC_CONSTRAINTS,
  EXTENDED_KEY_USAGE,
  extension,
  KEY_USAGE,
  nameOf,
  newKey,
  signCertificate,
} from "./x509.ts";

/** GeneralName: iPAddress (RFC 5280, 4.2.1.6). */
const IP_ADDRESS = 7;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const DAY_MS = 86_400_000;
/** Browsers refuse what lives for much longer than a year. */
const LIFE_MS = 365 * DAY_MS;

/** A self-signed certificate for web servers at IPv4 `addresses`; a browser asks once whether to trust it. */
export function createWebCertificate(
  name: string,
  addresses: readonly string[],
  nowMs: number,
): { certPem: string; keyPem: string } {
  const { key, keyPem, publicKeyDer } = newKey();
  const subject = nameOf(["commonName", name]);
  const bytes = (address: string) => String.fromCharCode(...address.split(".").map(Number));
  const certPem = signCertificate({
    subject,
    issuer: subject,
    publicKeyDer,
    issuerKeyDer: publicKeyDer,
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + LIFE_MS,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, sequence()),
      // digitalSignature
      extension(KEY_USAGE, true, bits("\x80", 7)),
      extension(EXTENDED_KEY_USAGE, false, sequence(oid(SERVER_AUTH))),
      extension(
        ALTERNATIVE_NAMES,
        false,
        sequence(...addresses.map((address) => context(IP_ADDRESS, false, bytes(address)))),
      ),
    ],
  }, key);
  return { certPem, keyPem };
}
