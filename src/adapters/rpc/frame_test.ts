import assert from "node:assert/strict";
import fc from "fast-check";
import { appendFrame, FrameDecoder, FrameKind, MAX_CONTROL_BYTES, putU32 } from "./frame.ts";
import { GrowBuffer } from "./grow_buffer.ts";

interface Seen {
  kind: number;
  id: number;
  payload: string;
}

function collector() {
  const seen: Seen[] = [];
  return {
    seen,
    frame(kind: number, id: number, payload: Uint8Array): boolean {
      seen.push({ kind, id, payload: payload.join(",") });
      return true;
    },
  };
}

function encode(frames: { kind: FrameKind; id: number; payload: Uint8Array }[]): Uint8Array {
  const out = new GrowBuffer(16);
  for (const f of frames) appendFrame(out, f.kind, f.id, f.payload);
  return out.take();
}

const dataFrame = fc.record({
  kind: fc.constantFrom(
    FrameKind.Open,
    FrameKind.Bytes,
    FrameKind.BytesMore,
    FrameKind.Json,
    FrameKind.JsonMore,
    FrameKind.Error,
  ),
  id: fc.integer({ min: 1, max: 0xffffffff }),
  payload: fc.uint8Array({ maxLength: 300 }),
});

Deno.test("frames survive any cutting of the byte stream", () => {
  fc.assert(
    fc.property(
      fc.array(dataFrame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 }),
      (frames, cuts) => {
        const bytes = encode(frames);
        const decoder = new FrameDecoder();
        const sink = collector();
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const n = cuts[i % cuts.length]!;
          assert.equal(decoder.push(bytes.subarray(at, at + n), sink), undefined);
          at += n;
        }
        assert.deepEqual(
          sink.seen,
          frames.map((f) => ({ kind: f.kind, id: f.id, payload: f.payload.join(",") })),
        );
        assert.equal(decoder.midFrame, false);
      },
    ),
  );
});

Deno.test("random bytes never throw, and a fault stays a fault", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 30 }), (chunks) => {
      const decoder = new FrameDecoder(1000);
      let fault: string | undefined;
      for (const chunk of chunks) {
        const now = decoder.push(chunk, collector());
        if (fault !== undefined) assert.equal(now, fault);
        fault = now;
      }
    }),
    { numRuns: 500 },
  );
});

function header(length: number, kind: number, id: number): Uint8Array {
  const bytes = new Uint8Array(9);
  putU32(bytes, 0, length);
  bytes[4] = kind;
  putU32(bytes, 5, id);
  return bytes;
}

Deno.test("a header that lies is refused before its payload arrives", () => {
  const cases: [number, number, number, RegExp][] = [
    [4 * 1024 * 1024 + 1, FrameKind.Bytes, 1, /4194305 bytes/],
    [0xffffffff, FrameKind.Bytes, 1, /4294967295 bytes/],
    [1, 0, 1, /unknown frame kind 0/],
    [1, 13, 1, /unknown frame kind 13/],
    [8, FrameKind.Ping, 1, /kind 10 on stream 1/],
    [7, FrameKind.Ping, 0, /ping frame of 7/],
    [1, FrameKind.Bytes, 0, /kind 2 on stream 0/],
    [5, FrameKind.Window, 3, /window frame of 5/],
    [1, FrameKind.End, 3, /end frame of 1/],
    [MAX_CONTROL_BYTES + 1, FrameKind.Open, 3, /control frame/],
  ];
  for (const [length, kind, id, fault] of cases) {
    assert.match(new FrameDecoder().push(header(length, kind, id), collector()) ?? "", fault);
    const dripped = new FrameDecoder();
    let last: string | undefined;
    for (const byte of header(length, kind, id)) {
      last = dripped.push(Uint8Array.of(byte), collector());
    }
    assert.match(last ?? "", fault);
  }
});

Deno.test("the sink can stop the decoder in the middle of a chunk", () => {
  const bytes = encode([
    { kind: FrameKind.Bytes, id: 1, payload: Uint8Array.of(1) },
    { kind: FrameKind.Bytes, id: 2, payload: Uint8Array.of(2) },
  ]);
  let count = 0;
  new FrameDecoder().push(bytes, {
    frame: () => {
      count++;
      return false;
    },
  });
  assert.equal(count, 1);
});
