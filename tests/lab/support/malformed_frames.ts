/** Frames of the protocol between nodes as nobody honest would send them. */
import fc from "fast-check";
import { ROUTE_ROLES } from "../../../src/core/pki/route_roles.ts";

const frame = fc.tuple(
  fc.oneof(fc.nat(200), fc.constantFrom(0, 0xffffffff, 4 << 20, (4 << 20) + 1)),
  fc.nat(20),
  fc.oneof(fc.nat(5), fc.constantFrom(0xffffffff)),
  fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.constantFrom(...Object.keys(ROUTE_ROLES)).map((r) =>
      new TextEncoder().encode(JSON.stringify({ r }))
    ),
    fc.json().map((text) => new TextEncoder().encode(text)),
  ),
  fc.boolean(),
).map(([length, kind, id, payload, honest]) => {
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, honest ? payload.length : length);
  bytes[4] = kind;
  view.setUint32(5, id);
  bytes.set(payload, 9);
  return bytes;
});
/** A connection that somebody opens, and what they send on it. */
export const FRAMES = fc.record({
  who: fc.constantFrom("outside", "anonymous", "worker"),
  pieces: fc.array(
    fc.oneof({ weight: 3, arbitrary: frame }, {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 900 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});
