/**
 * The part of dns-packet that is used here. Its published types bring those of all of Node.js with
 * them, which are not the ones that Deno checks against.
 */
export interface Question {
  readonly name: string;
  readonly type: string;
  readonly class?: string;
}

export interface Answer {
  readonly name: string;
  readonly type: string;
  readonly class?: string;
  readonly ttl?: number;
  readonly data?: unknown;
  /** Of OPT records. */
  readonly udpPayloadSize?: number;
  readonly flags?: number;
  readonly options?: readonly unknown[];
}

export interface Packet {
  readonly type?: "query" | "response";
  readonly id?: number;
  readonly flags?: number;
  readonly questions?: readonly Question[];
  readonly answers?: readonly Answer[];
  readonly additionals?: readonly Answer[];
}

export interface DecodedPacket extends Packet {
  readonly rcode: string;
  readonly flag_tc: boolean;
  readonly flag_aa: boolean;
}

declare const packet: {
  readonly RECURSION_DESIRED: number;
  encode(packet: Packet): Uint8Array;
  /** @throws Error when the bytes are no DNS message */
  decode(bytes: Uint8Array): DecodedPacket;
};
export default packet;
