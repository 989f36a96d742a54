/** What a client, or something between it and us, tries with the bytes of HTTP. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { silentLogger } from "../../base/log.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import type { Duplex } from "../../base/duplex.ts";
import { FleetError } from "../../base/errors.ts";
import { serveConnection, STREAM_HEADER } from "./front.ts";

const encoder = new TextEncoder();

/** A client that has sent `pieces` and listens; it stays silent afterwards, or ends. */
class FakeClient implements Duplex {
  readonly #pieces: Uint8Array[];
  readonly #closed = Promise.withResolvers<null>();
  readonly #stays: boolean;
  #next = 0;
  said = "";
  /** What each write had. */
  readonly writes: string[] = [];
  closed = false;

  constructor(pieces: readonly (string | Uint8Array)[], options: { stays?: boolean } = {}) {
    this.#pieces = pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : piece)
      .filter(({ length }) => length > 0);
    this.#stays = options.stays ?? false;
  }
  /** Pieces that were not read. */
  get left(): number {
    return this.#pieces.length - this.#next;
  }
  read(buffer: Uint8Array): Promise<number | null> {
    const piece = this.#pieces[this.#next];
    if (!piece) return this.#stays ? this.#closed.promise : Promise.resolve(null);
    const taken = piece.subarray(0, buffer.length);
    buffer.set(taken);
    if (taken.length === piece.length) this.#next++;
    else this.#pieces[this.#next] = piece.subarray(taken.length);
    return Promise.resolve(taken.length);
  }
  write(bytes: Uint8Array): Promise<number> {
    this.writes.push(new TextDecoder("latin1").decode(bytes));
    this.said += this.writes.at(-1);
    return Promise.resolve(bytes.length);
  }
  closeWrite(): Promise<void> {
    return Promise.resolve();
  }
  close(): void {
    this.closed = true;
    this.#closed.resolve(null);
  }
}

/** Serves one connection; what fleet's routes saw, what the engine got, what the client was told. */
async function serve(
  pieces: readonly (string | Uint8Array)[],
  options: { clock?: ManualClock; stays?: boolean; app?: () => Response } = {},
) {
  const seen: string[] = [];
  let engine = "";
  const client = new FakeClient(pieces, options);
  const serving = serveConnection(client, {
    app: async (request) => {
      const url = new URL(request.url);
      seen.push(`${request.method} ${url.pathname} ${(await request.text()).length}`);
      if (options.app) return options.app();
      return Response.json({ ok: true });
    },
    dialEngine: () => {
      const answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
      const fake = new FakeClient([answer]);
      fake.write = (bytes) => {
        engine += new TextDecoder("latin1").decode(bytes);
        return Promise.resolve(bytes.length);
      };
      return Promise.resolve(fake);
    },
    logger: silentLogger,
    ...(options.clock ? { clock: options.clock } : {}),
  });
  if (!options.stays) await serving;
  return { seen, client, serving, engine: () => engine };
}

const HOST = "Host: docker\r\n";

Deno.test("what two parsers could read differently is refused before anything is done", async () => {
  const post = "POST /services/create HTTP/1.1\r\nHost: docker\r\n";
  const smuggled = "GET /nodes HTTP/1.1\r\nHost: docker\r\n\r\n";
  const cases: [string, string][] = [
    [
      "length and chunks",
      `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["two lengths", `${post}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n`],
    ["a list of lengths", `${post}Content-Length: 0, 44\r\n\r\n`],
    ["a signed length", `${post}Content-Length: +4\r\n\r\n1234`],
    ["a hexadecimal length", `${post}Content-Length: 0x4\r\n\r\n1234`],
    ["an odd encoding", `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
    ["a hidden encoding", `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
    ["an encoding twice", `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n`],
    ["chunks in 1.0", `POST /nodes HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["a folded header", `${post}X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n`],
    ["a bare line feed", `${post}X-A: b\nTransfer-Encoding: chunked\r\n\r\n`],
    ["a bare carriage return", `${post}X-A: b\rX: c\r\n\r\n`],
    ["a nul", `${post}X-A: b\0\r\n\r\n`],
    ["a header without name", `${post}: b\r\n\r\n`],
    ["a control in the path", `GET /nodes\x0b HTTP/1.1\r\n${HOST}\r\n`],
    ["a nul in the path", `GET /nodes\0/x HTTP/1.1\r\n${HOST}\r\n`],
    ["no path", `GET nodes HTTP/1.1\r\n${HOST}\r\n`],
    ["HTTP/2", `PRI * HTTP/2.0\r\n\r\n`],
    ["a method with a blank", `GET  /nodes HTTP/1.1\r\n${HOST}\r\n`],
    ["a percent sign alone", `GET /containers/%zz/json HTTP/1.1\r\n${HOST}\r\n`],
    ["a hidden route", `GET /%73warm HTTP/1.1\r\n${HOST}\r\n`],
    ["a hidden route with version", `POST /v1.41/%73warm/init HTTP/1.1\r\n${HOST}\r\n`],
    ["a hidden version", `POST /v1%2e41/swarm/init HTTP/1.1\r\n${HOST}\r\n`],
    ["a chunk of no size", `${post}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n`],
    [
      "a chunk that ends elsewhere",
      `${post}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n`,
    ],
    ["a size line without end", `${post}Transfer-Encoding: chunked\r\n\r\n${"0".repeat(3_000)}`],
    [
      "trailers without end",
      `${post}Transfer-Encoding: chunked\r\n\r\n0\r\n${"a: b\r\n".repeat(200)}`,
    ],
    ["too many headers", `${post}${"a: b\r\n".repeat(300)}\r\n`],
    ["a head without end", `GET /nodes HTTP/1.1\r\nA: ${"b".repeat(70_000)}`],
  ];
  for (const [name, bytes] of cases) {
    const { seen, client, engine } = await serve([bytes, smuggled]);
    assert.deepEqual(seen, [], name);
    assert.equal(engine(), "", name);
    assert.match(client.said, /^HTTP\/1\.1 400 Bad Request\r\n/, name);
    assert.equal(client.said.split("HTTP/1.1").length, 2, `${name}: one answer`);
    assert(client.closed, name);
  }
});

Deno.test("a body that is too large is refused with 413 and one sentence", async () => {
  const start = `POST /services/create HTTP/1.1\r\n${HOST}`;
  const smuggled = `POST /swarm/leave HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`;
  const cases = {
    "by its length": [`${start}Content-Length: 8388609\r\n\r\n`, "x".repeat(100_000), smuggled],
    "before it is asked for": [`${start}Expect: 100-continue\r\nContent-Length: 8388609\r\n\r\n`],
    "in one chunk": [`${start}Transfer-Encoding: chunked\r\n\r\n800001\r\n`, smuggled],
    "in the largest chunk": [
      `${start}Transfer-Encoding: chunked\r\n\r\nffffffff\r\n`,
      smuggled,
    ],
    "in the second chunk": [
      `${start}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n800000\r\n`,
      smuggled,
    ],
  };
  for (const [name, pieces] of Object.entries(cases)) {
    const { seen, client, engine } = await serve(pieces);
    assert.deepEqual({ name, seen, engine: engine() }, { name, seen: [], engine: "" });
    assert.match(client.said, /^HTTP\/1\.1 413 Request Entity Too Large\r\n/, name);
    assert.equal(client.said.split("HTTP/1.1").length, 2, `${name}: one answer`);
    assert.equal(
      client.said.split("\r\n\r\n")[1],
      '{"message":"request body too large: at most 8388608 bytes are read"}',
      name,
    );
    assert(client.closed, name);
  }
});

Deno.test("a client that goes on sending what is too large is cut off", async () => {
  const piece = new Uint8Array(1024 * 1024);
  const start = `POST /services/create HTTP/1.1\r\n${HOST}Content-Length: 999999999\r\n\r\n`;
  const { client } = await serve([start, ...Array<Uint8Array>(100).fill(piece)]);
  assert.match(client.said, /^HTTP\/1\.1 413 /);
  assert.equal(client.left, 100 - 64);
  assert(client.closed);
});

Deno.test("requests behind one another are read by their lengths and by nothing in their bodies", async () => {
  const inner = "GET /secrets HTTP/1.1\r\nHost: docker\r\n\r\n";
  const first = `POST /services/create HTTP/1.1\r\n${HOST}Content-Length: ${inner.length}\r\n\r\n`;
  const chunks = `POST /networks/create HTTP/1.1\r\n${HOST}Transfer-Encoding: Chunked\r\n\r\n` +
    `${inner.length.toString(16)};x=y\r\n${inner}\r\n0\r\nTrailer: x\r\n\r\n`;
  const { seen } = await serve([first + inner + chunks + `GET /nodes HTTP/1.1\r\n${HOST}\r\n`]);
  assert.deepEqual(seen, [
    `POST /services/create ${inner.length}`,
    `POST /networks/create ${inner.length}`,
    "GET /nodes 0",
  ]);
});

Deno.test("the engine gets one request per connection, however many come", async () => {
  const kill = `POST /containers/c/kill HTTP/1.1\r\n${HOST}Connection: keep-alive\r\n\r\n`;
  const { engine, seen } = await serve([`${kill}GET /nodes HTTP/1.1\r\n${HOST}\r\n`]);
  assert.match(
    engine(),
    /^POST \/containers\/c\/kill HTTP\/1\.1\r\nhost: docker\r\nconnection: close\r\n\r\n/,
  );
  assert.deepEqual(seen, []);
});

Deno.test("a body in drops costs no more than its size", async () => {
  const drops = Array.from({ length: 40_000 }, () => "1\r\nx\r\n").join("");
  const head = `POST /services/create HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;
  const startedAt = performance.now();
  const { seen } = await serve([head, drops, "0\r\n\r\n"]);
  assert.deepEqual(seen, ["POST /services/create 40000"]);
  const one = `POST /services/create HTTP/1.1\r\n${HOST}Content-Length: 80000\r\n\r\n`;
  const bytes = Array.from({ length: 80_000 }, () => "x");
  assert.deepEqual((await serve([one, ...bytes])).seen, ["POST /services/create 80000"]);
  const slowHead = [...`GET /nodes HTTP/1.1\r\nA: ${"b".repeat(60_000)}\r\n\r\n`];
  assert.deepEqual((await serve(slowHead)).seen, ["GET /nodes 0"]);
  const seconds = (performance.now() - startedAt) / 1000;
  assert(seconds < 30, `${seconds} s`);
});

Deno.test("a request that has begun must end; between requests a client may wait", async () => {
  for (
    const [name, bytes] of [
      ["half a head", "GET /nodes HTTP/1.1\r\nHost:"],
      ["half a body", `POST /services/create HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nabc`],
      ["half a chunk", `POST /nodes HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nab`],
    ] as const
  ) {
    const clock = new ManualClock();
    const { client, serving } = await serve([bytes], { clock, stays: true });
    await clock.advance(59_000);
    assert(!client.closed, name);
    await clock.advance(1_000);
    await serving;
    assert(client.closed, name);
  }
  const clock = new ManualClock();
  const idle = await serve([`GET /nodes HTTP/1.1\r\n${HOST}\r\n`], { clock, stays: true });
  await clock.advance(3_600_000);
  assert(!idle.client.closed);
  assert.deepEqual(idle.seen, ["GET /nodes 0"]);
  assert.equal(clock.timers, 0);
  idle.client.close();
  await idle.serving;
});

Deno.test("whatever bytes come, a connection ends and nothing is thrown", async () => {
  const word = fc.constantFrom(
    ...[
      "GET",
      "POST",
      " ",
      "/",
      "/nodes",
      "/v1.41/services/create",
      "%2e",
      "..",
      "\r\n",
      "\n",
      "\r",
    ],
    ...["HTTP/1.1", "HTTP/1.0", "Host: x", "Content-Length: 3", "Content-Length:", ": "],
    ...["Transfer-Encoding: chunked", "Connection: upgrade", "Upgrade: tcp", "0", "3", "abc", "\0"],
    ...["Expect: 100-continue", "\r\n\r\n", "ffff", ";"],
  );
  const piece = fc.oneof(
    fc.array(word, { maxLength: 12 }).map((words) => encoder.encode(words.join(""))),
    fc.array(word, { maxLength: 12 }).map((words) => encoder.encode(words.join(" ") + "\r\n\r\n")),
    fc.uint8Array({ maxLength: 60 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
      const { client } = await serve(pieces);
      assert(client.closed);
    }),
    { numRuns: 2_000 },
  );
});

/** A stream of `pieces`, then its end, or what it fails with. */
function streamOf(pieces: readonly string[], error?: Error): Response {
  const left = [...pieces];
  const body = new ReadableStream<Uint8Array>({
    pull(out) {
      const piece = left.shift();
      if (piece !== undefined) out.enqueue(encoder.encode(piece));
      else if (error) out.error(error);
      else out.close();
    },
  }, { highWaterMark: 0 });
  return new Response(body, { headers: { [STREAM_HEADER]: "1" } });
}

Deno.test("a stream that fails half-way is cut: no second answer in it, and no end of its chunks", async () => {
  const request = `GET /services/a/logs HTTP/1.1\r\n${HOST}\r\n`;
  for (
    const error of [new FleetError("unavailable", "node h2 is gone"), new Error("something else")]
  ) {
    const { client } = await serve([request], {
      stays: true,
      app: () => streamOf(["one", "two"], error),
    }).then(async (served) => (await served.serving, served));
    assert.equal(client.said.split("HTTP/1.1").length, 2, client.said);
    assert.match(client.said, /\r\n\r\n3\r\none\r\n3\r\ntwo\r\n$/);
    assert(client.closed);
  }
});

Deno.test("a piece of a stream leaves in one write, and the next is made when it is out", async () => {
  const request = `GET /services/a/logs HTTP/1.1\r\n${HOST}\r\n`;
  const { client, serving } = await serve([request], {
    stays: true,
    app: () => streamOf(["one", "", "two"]),
  });
  await serving;
  assert.deepEqual(client.writes.slice(1), ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"]);

  let made = 0;
  const slow = new FakeClient([request], { stays: true });
  const { promise: read, resolve: readOn } = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  slow.write = async (bytes) => {
    if (made > 0) {
      begun.resolve();
      await read;
    }
    return bytes.length;
  };
  const body = new ReadableStream<Uint8Array>({
    pull(out) {
      if (made++ < 100) out.enqueue(encoder.encode("line"));
      else out.close();
    },
  }, { highWaterMark: 0 });
  const slowly = serveConnection(slow, {
    app: () => new Response(body, { headers: { [STREAM_HEADER]: "1" } }),
    dialEngine: () => Promise.reject(new Error("not asked")),
    logger: silentLogger,
  });
  await begun.promise;
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setTimeout(resolve));
  assert.equal(made, 1);
  readOn();
  await slowly;
  assert.equal(made, 101);
});
