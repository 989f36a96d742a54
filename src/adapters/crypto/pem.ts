import { Buffer } from "node:buffer";

/** `bytes` between the PEM lines of `label`. */
export function pem(label: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}

/** The bytes of the first block of `label`, or undefined. */
export function unpem(label: string, text: string): Uint8Array | undefined {
  const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`)
    .exec(text);
  return match ? new Uint8Array(Buffer.from(match[1]!, "base64")) : undefined;
}
