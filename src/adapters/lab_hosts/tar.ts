import { assert } from "../../base/assert.ts";

/** One entry of an archive. Everything belongs to root and was changed in 1970: same input, same bytes. */
export type TarEntry =
  | { readonly path: string; readonly mode: number; readonly folder: true }
  | { readonly path: string; readonly mode: number; readonly body: Uint8Array }
  | { readonly path: string; readonly target: string };

const BLOCK = 512;
const encoder = new TextEncoder();

/** A POSIX ustar archive (IEEE Std 1003.1, pax). Paths have at most 100 bytes. */
export function tar(entries: readonly TarEntry[]): Uint8Array {
  const parts = entries.flatMap((entry) =>
    "body" in entry ? [header(entry), entry.body, padding(entry.body.length)] : [header(entry)]
  );
  return concat([...parts, new Uint8Array(2 * BLOCK)]);
}

function header(entry: TarEntry): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const field = (text: string, offset: number, length: number) => {
    const bytes = encoder.encode(text);
    assert(bytes.length <= length, `${text} does not fit into a tar header`);
    block.set(bytes, offset);
  };
  const octal = (value: number, offset: number, length: number) =>
    field(value.toString(8).padStart(length - 1, "0"), offset, length - 1);
  const [type, path] = "body" in entry
    ? ["0", entry.path]
    : "target" in entry
    ? ["2", entry.path]
    : ["5", `${entry.path}/`];
  field(path, 0, 100);
  octal("mode" in entry ? entry.mode : 0o777, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal("body" in entry ? entry.body.length : 0, 124, 12);
  octal(0, 136, 12);
  field(" ".repeat(8), 148, 8);
  field(type, 156, 1);
  if ("target" in entry) field(entry.target, 157, 100);
  field("ustar\0" + "00", 257, 8);
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7);
  return block;
}

function padding(length: number): Uint8Array {
  return new Uint8Array((BLOCK - length % BLOCK) % BLOCK);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
