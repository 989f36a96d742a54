import { Buffer } from "node:buffer";
import { randomBytes, scrypt } from "node:crypto";
import { gunzip, gzip } from "node:zlib";
import { promisify } from "node:util";
import { FleetError } from "../../base/errors.ts";
import { KEY_BYTES, open, seal } from "./sealing.ts";

/**
 * A backup at rest: `FLEETBK1`, a salt, and the compressed content sealed (AES-256-GCM) under a key that
 * scrypt (RFC 7914) makes of the passphrase. The cost asks for 64 MiB and about a tenth of a second a guess.
 */
const MAGIC = new TextEncoder().encode("FLEETBK1");
const SALT_BYTES = 16;
const COST = { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 * 1024 } as const;
const CONTEXT = "the backup";
/** What a content may unpack to; a damaged or evil file does not fill the memory. */
const MAX_CONTENT_BYTES = 2 * 1024 * 1024 * 1024;

/** Compresses and seals `content`. */
export async function sealBackup(content: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  const body = seal(await keyOf(passphrase, salt), await compress(content), CONTEXT);
  return new Uint8Array(Buffer.concat([MAGIC, salt, body]));
}

/** @throws FleetError invalid for what is no backup, unauthorized for another passphrase or a damaged file */
export async function openBackup(file: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const head = MAGIC.length + SALT_BYTES;
  if (file.length < head || !MAGIC.every((byte, i) => file[i] === byte)) {
    throw new FleetError("invalid", "this is no backup of fleet");
  }
  const key = await keyOf(passphrase, file.subarray(MAGIC.length, head));
  let packed: Uint8Array;
  try {
    packed = open(key, file.subarray(head), CONTEXT);
  } catch (cause) {
    throw new FleetError(
      "unauthorized",
      "the backup does not open: the passphrase is another one, or the file is damaged",
      { cause },
    );
  }
  return await decompress(packed);
}

async function keyOf(passphrase: string, salt: Uint8Array): Promise<Uint8Array> {
  return await new Promise((resolve, reject) =>
    scrypt(
      passphrase.normalize("NFKC"),
      salt,
      KEY_BYTES,
      COST,
      (error, key) => error ? reject(error) : resolve(new Uint8Array(key)),
    )
  );
}

async function compress(content: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await promisify(gzip)(content));
}

async function decompress(packed: Uint8Array): Promise<Uint8Array> {
  return await new Promise((resolve, reject) =>
    gunzip(
      packed,
      { maxOutputLength: MAX_CONTENT_BYTES },
      (error, out) => error ? reject(error) : resolve(new Uint8Array(out)),
    )
  );
}
