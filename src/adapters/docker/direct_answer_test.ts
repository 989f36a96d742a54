import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Duplex } from "../../base/duplex.ts";
import { Dechunker } from "./chunks.ts";
import { directAnswer } from "./direct_answer.ts";

const encoder = new TextEncoder();

/** An engine that answers with `pieces` and ends, or stays silent until it is closed. */
function engine(pieces: readonly string[], options: { stays?: boolean } = {}) {
  const left = pieces.map((piece) => encoder.encode(piece));
  const closed = Promise.withResolvers<null>();
  const state = { asked: "", closed: false };
  const connection: Duplex = {
    async read(buffer) {
      const piece = left.shift();
      if (!piece) {
        if (!options.stays) return null;
        await closed.promise;
        throw new Deno.errors.BadResource("closed");
      }
      const count = Math.min(piece.length, buffer.length);
      buffer.set(piece.subarray(0, count));
      if (count < piece.length) left.unshift(piece.subarray(count));
      return count;
    },
    write(bytes) {
      state.asked += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
    closeWrite: () => Promise.resolve(),
    close() {
      state.closed = true;
      closed.resolve(null);
    },
  };
  return { connection, state };
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const bytes of body) text += new TextDecoder().decode(bytes);
  return text;
}

const never = () => new AbortController().signal;
const CHUNKED =
  "HTTP/1.1 200 OK\r\nContent-Type: text/x; a=b\r\nTransfer-Encoding: chunked\r\n\r\n";

Deno.test("chunks are taken apart however the bytes are cut", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 }),
    fc.integer({ min: 1, max: 50 }),
    fc.constantFrom("", ";a=b"),
    (datas, size, extension) => {
      const wire = Buffer.concat([
        ...datas.flatMap((data) => [
          Buffer.from(`${data.length.toString(16)}${extension}\r\n`),
          data,
          Buffer.from("\r\n"),
        ]),
        Buffer.from("0\r\nTrailer: x\r\n\r\n"),
      ]);
      const chunks = new Dechunker();
      const found: Uint8Array[] = [];
      for (let at = 0; at < wire.length; at += size) {
        assert(!chunks.over);
        found.push(chunks.take(wire.subarray(at, at + size)));
      }
      assert(chunks.over);
      assert.deepEqual(Buffer.concat(found), Buffer.concat(datas));
    },
  ));
  for (
    const wrong of [
      "x\r\n",
      "\r\n",
      "1\r\nab\r\n",
      "-1\r\n",
      "fffffffff\r\n",
      "1;" + "a".repeat(5_000),
    ]
  ) {
    assert.throws(() => new Dechunker().take(encoder.encode(wrong)), /cannot be read/, wrong);
  }
});

Deno.test("an answer in chunks comes in as few pieces as it arrives in, and ends the connection", async () => {
  const lines = "4\r\none\n\r\n".repeat(1_000);
  const { connection, state } = engine([
    CHUNKED.slice(0, 30),
    CHUNKED.slice(30) + lines,
    "0\r\n\r\n",
  ]);
  const answer = await directAnswer(connection, "/containers/c/logs?stdout=1", never());
  assert.equal(
    state.asked,
    "GET /containers/c/logs?stdout=1 HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n",
  );
  assert.deepEqual([answer.status, answer.contentType], [200, "text/x; a=b"]);
  const pieces: number[] = [];
  for await (const { length } of answer.body) pieces.push(length);
  assert.deepEqual(pieces, [4_000]);
  assert(state.closed);
});

Deno.test("answers with a length, and with none, end where they end", async () => {
  const known = engine(["HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nno", "nexx"]);
  const answer = await directAnswer(known.connection, "/x", never());
  assert.equal(answer.status, 404);
  assert.equal(await textOf(answer.body), "nonex");
  assert(known.state.closed);
  const none = engine(["HTTP/1.0 200 OK\r\n\r\nall", " of it"]);
  assert.equal(
    await textOf((await directAnswer(none.connection, "/x", never())).body),
    "all of it",
  );
});

Deno.test("an engine that goes away is told apart from the end of its answer", async () => {
  for (
    const pieces of [
      [],
      ["HTTP/1.1 200 OK\r\nContent"],
      ["no HTTP at all\r\n\r\n"],
      [`${CHUNKED}4\r\none\n\r\n`],
      [`${CHUNKED}4\r\no`],
      ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"],
    ]
  ) {
    const { connection, state } = engine(pieces);
    await assert.rejects(
      async () => await textOf((await directAnswer(connection, "/x", never())).body),
      /went away before its answer ended/,
    );
    assert(state.closed);
  }
});

Deno.test("a reader who goes, and a signal, end the connection", async () => {
  const early = engine([`${CHUNKED}4\r\none\n\r\n`], { stays: true });
  for await (const _ of (await directAnswer(early.connection, "/x", never())).body) break;
  assert(early.state.closed);
  const controller = new AbortController();
  const { connection, state } = engine([`${CHUNKED}4\r\none\n\r\n`], { stays: true });
  const reading = textOf((await directAnswer(connection, "/x", controller.signal)).body);
  controller.abort(new Error("enough"));
  await assert.rejects(reading, /enough/);
  assert(state.closed);
});
