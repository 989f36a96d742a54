import forge from "node-forge";

const { asn1 } = forge;
const { Class, Type } = asn1;

/** ASN.1 values as node-forge builds them. */
export type Asn1 = forge.asn1.Asn1;

export const sequence = (...values: Asn1[]) =>
  asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, values);
export const set = (...values: Asn1[]) => asn1.create(Class.UNIVERSAL, Type.SET, true, values);
export const oid = (dotted: string) =>
  asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(dotted).getBytes());
export const utf8 = (text: string) =>
  asn1.create(Class.UNIVERSAL, Type.UTF8, false, forge.util.encodeUtf8(text));
/** Text in the smaller of the two kinds that RFC 5280 wants: other signers write names anew in it. */
export const printableOrUtf8 = (text: string) =>
  /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)
    ? asn1.create(Class.UNIVERSAL, Type.PRINTABLESTRING, false, text)
    : utf8(text);
export const boolean = (value: boolean) =>
  asn1.create(Class.UNIVERSAL, Type.BOOLEAN, false, value ? "\xff" : "\x00");
export const nothing = () => asn1.create(Class.UNIVERSAL, Type.NULL, false, "");
export const octets = (bytes: string) =>
  asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, bytes);
/** A bit string without unused bits. */
export const bits = (bytes: string, unused = 0) =>
  asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, String.fromCharCode(unused) + bytes);
export const integer = (bytes: string) => asn1.create(Class.UNIVERSAL, Type.INTEGER, false, bytes);
export const context = (tag: number, constructed: boolean, value: Asn1[] | string) =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, constructed, value);

/** UTCTime up to 2049, GeneralizedTime after (RFC 5280, 4.1.2.5). */
export function time(ms: number): Asn1 {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, "").slice(0, 14) + "Z";
  return ms < Date.UTC(2050, 0, 1)
    ? asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, text.slice(2))
    : asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, text);
}

export function toDer(value: Asn1): Uint8Array {
  return fromBinary(asn1.toDer(value).getBytes());
}

/** @throws when the bytes are no DER */
export function fromDer(bytes: Uint8Array): Asn1 {
  // Bit strings are keys and signatures here: their bytes are wanted, not what they may contain.
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false };
  return (asn1.fromDer as unknown as (bytes: string, options: object) => Asn1)(
    toBinary(bytes),
    options,
  );
}

export function toBinary(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}

export function fromBinary(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** The n-th child of a constructed value. */
export function child(value: Asn1, index: number): Asn1 {
  const children = value.value;
  const found = Array.isArray(children) ? children[index] : undefined;
  if (!found) throw new Error(`ASN.1 value ${index} is missing`);
  return found as Asn1;
}
