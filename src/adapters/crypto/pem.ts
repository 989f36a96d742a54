import { Buffer } from "node:buffer";

/** Nothing of ours comes near this; what is larger is not looked at. */
export const MAX_PEM_LENGTH = 65_536;
/** Blocks that are read from one text: a certificate and its chain. */
const MAX_BLOCKS = 8;

/** `bytes` between the PEM lines of `label` (RFC 7468). */
export function pem(label: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}

/** The bytes of the first blocks of `label`; empty when there is none or the text is too long. */
export function unpemAll(label: string, text: string): Uint8Array[] {
  if (text.length > MAX_PEM_LENGTH) return [];
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  const out: Uint8Array[] = [];
  let at = 0;
  while (out.length < MAX_BLOCKS) {
    const from = text.indexOf(begin, at);
    const to = from < 0 ? -1 : text.indexOf(end, from);
    if (to < 0) break;
    const body = text.slice(from + begin.length, to);
    if (/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(body)) {
      out.push(new Uint8Array(Buffer.from(body, "base64")));
    }
    at = to + end.length;
  }
  return out;
}
