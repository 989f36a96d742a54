/** The API on TCP: who gets in, and what one connection may cost. */
import assert from "node:assert/strict";
import * as net from "node:net";
import * as tls from "node:tls";
import { FleetError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { eventually, issue, makeCa, systemClock } from "../rpc/test_support.ts";
import type { TestCa } from "../rpc/test_support.ts";
import type { TlsCredentials } from "../rpc/types.ts";
import { serveTls } from "./server.ts";
import type { TlsServer } from "./server.ts";
import type { TlsDuplex } from "./tls_duplex.ts";

interface World extends AsyncDisposable {
  readonly ca: TestCa;
  readonly user: TlsCredentials;
  readonly server: TlsServer;
  readonly log: string[];
  readonly folder: string;
  connect(
    own?: { certPem: string; keyPem: string },
    more?: tls.ConnectionOptions,
  ): Promise<tls.TLSSocket>;
}

/** A server that answers every connection by `serve`. */
async function world(serve: (connection: TlsDuplex) => Promise<void>): Promise<World> {
  const ca = await makeCa();
  const [own, user] = await Promise.all([
    issue(ca, { cn: "localhost", ou: "servers" }),
    issue(ca, { cn: "ann", ou: "users" }),
  ]);
  const folder = await Deno.makeTempDir({ prefix: "api_tls_" });
  const files = { ca: `${folder}/ca`, cert: `${folder}/cert`, key: `${folder}/key` };
  await Deno.writeTextFile(files.ca, ca.pem);
  await Deno.writeTextFile(files.cert, own.certPem);
  await Deno.writeTextFile(files.key, own.keyPem, { mode: 0o600 });
  const log: string[] = [];
  const logger: Logger = {
    log: (level, message, fields) => void log.push(`${level} ${message} ${JSON.stringify(fields)}`),
    with: () => logger,
  };
  const server = serveTls({ address: "127.0.0.1:0", files, clock: systemClock, logger }, serve);
  return {
    ca,
    user,
    server,
    log,
    folder,
    connect: async (given, more = {}) => {
      const socket = tls.connect({
        host: "127.0.0.1",
        port: Number(server.address.split(":")[1]),
        servername: "localhost",
        ca: ca.pem,
        ...(given ? { cert: given.certPem, key: given.keyPem } : {}),
        ...more,
      });
      socket.on("error", () => {});
      await new Promise<void>((resolve) => {
        socket.once("secureConnect", () => resolve());
        socket.once("close", () => resolve());
      });
      return socket;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Everything that comes until the end. */
function allOf(socket: tls.TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
    socket.once("close", () => resolve(text));
  });
}

async function readAll(connection: TlsDuplex): Promise<number> {
  const buffer = new Uint8Array(16 * 1024);
  let total = 0;
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return total;
    total += count;
  }
}

Deno.test("a client with a certificate is served, also after it has finished sending", async () => {
  await using here = await world(async (connection) => {
    const total = await readAll(connection);
    await connection.write(new TextEncoder().encode(`${total} bytes`));
    await connection.closeWrite();
  });
  const socket = await here.connect(here.user, { allowHalfOpen: true } as tls.ConnectionOptions);
  const answer = allOf(socket);
  socket.end(new Uint8Array(300_000));
  assert.equal(await answer, "300000 bytes");
});

Deno.test("everybody else is refused in one sentence, and nothing they say is read", async () => {
  let served = 0;
  await using here = await world(() => Promise.resolve(void served++));
  const foreign = await makeCa();
  const cases: [string, { certPem: string; keyPem: string } | undefined, RegExp][] = [
    ["no certificate", undefined, /a client certificate is necessary/],
    ["foreign CA", await issue(foreign, { cn: "ann", ou: "users" }), /not valid here/],
    ["self-signed", { certPem: foreign.pem, keyPem: foreign.keyPem }, /not valid here/],
    ["expired", await issue(here.ca, { cn: "ann", ou: "users", expired: true }), /EXPIRED/],
    ["a worker", await issue(here.ca, { cn: "w1", ou: "swarm-worker" }), /of a node, not/],
    ["a manager", await issue(here.ca, { cn: "m1", ou: "swarm-manager" }), /of a node, not/],
  ];
  for (const [name, own, sentence] of cases) {
    const socket = await here.connect(own);
    socket.write("GET /info HTTP/1.1\r\nHost: x\r\n\r\n");
    const answer = await allOf(socket);
    assert.match(answer, /^HTTP\/1\.1 403 Forbidden\r\n/, name);
    assert.match(answer, sentence, name);
  }
  assert.equal(served, 0);
  assert.equal(here.log.filter((line) => line.includes("an API client was refused")).length, 6);
});

Deno.test("there is no API without TLS 1.3", async () => {
  let served = 0;
  await using here = await world(() => Promise.resolve(void served++));
  const port = Number(here.server.address.split(":")[1]);
  const old = await here.connect(here.user, { maxVersion: "TLSv1.2" });
  await eventually("TLS 1.2 is refused", () => old.destroyed);
  assert.equal(old.getProtocol()?.startsWith("TLSv1.2") ?? false, false);
  for (
    const bytes of ["GET /info HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello", "\0".repeat(600)]
  ) {
    const plain = net.connect(port, "127.0.0.1");
    let answer = "";
    plain.on("error", () => {});
    plain.on("data", (chunk: Uint8Array) => answer += new TextDecoder("latin1").decode(chunk));
    plain.write(bytes);
    await eventually("it is closed", () => plain.destroyed || plain.readableEnded);
    plain.destroy();
    assert.doesNotMatch(answer, /HTTP/);
  }
  assert.equal(served, 0);
});

Deno.test("a reader who waits stops the sender", async () => {
  const here = await world(() => new Promise(() => {}));
  await using _ = here;
  const socket = await here.connect(here.user);
  let sent = 0;
  const piece = new Uint8Array(64 * 1024);
  for (let i = 0; i < 1_000; i++) socket.write(piece, () => sent += piece.length);
  await steady(() => sent);
  assert(sent < 24 << 20, `${sent} bytes were taken although nobody reads`);
  socket.destroy();
});

Deno.test("a client that does not read stops the writer", async () => {
  let written = 0;
  await using here = await world(async (connection) => {
    const piece = new Uint8Array(64 * 1024);
    for (let i = 0; i < 1_000; i++) {
      await connection.write(piece);
      written += piece.length;
    }
  });
  await Deno.writeTextFile(`${here.folder}/user`, here.user.certPem + here.user.keyPem);
  // The runtime's own TLS client would read into memory; this one stops when its pipe is full.
  const client = new Deno.Command("openssl", {
    args: ["s_client", "-quiet", "-connect", here.server.address, "-cert", `${here.folder}/user`],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  await eventually("it is served", () => written > 0);
  await steady(() => written);
  assert(written < 24 << 20, `${written} bytes were written although nobody reads`);
  client.kill("SIGKILL");
  await client.stdin.close().catch(() => {});
  await client.stdout.cancel();
  await client.status;
});

/** Resolves when a figure has not moved for half a second. */
async function steady(figure: () => number): Promise<void> {
  let last = -1;
  let since = performance.now();
  await eventually("it stands still", () => {
    if (figure() !== last) since = performance.now();
    last = figure();
    return performance.now() - since > 500;
  });
}

Deno.test("a flood of half-open connections displaces itself", async () => {
  await using here = await world(async (connection) => {
    await connection.write(new TextEncoder().encode("ok"));
    await connection.closeWrite();
    await readAll(connection);
  });
  const port = Number(here.server.address.split(":")[1]);
  const sockets = new Set<net.Socket>();
  for (let i = 0; i < 500; i++) {
    const socket = net.connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.resume();
    await new Promise<void>((resolve) => {
      socket.once("connect", () => resolve());
      socket.once("close", () => resolve());
    });
    sockets.add(socket);
  }
  await eventually("the oldest are gone", () => sockets.size <= 64);
  const client = await here.connect(here.user);
  const answer = allOf(client);
  client.end();
  assert.equal(await answer, "ok");
  for (const socket of sockets) socket.destroy();
});

Deno.test("files that cannot be used are named; a reload with them changes nothing", async () => {
  await using here = await world(async (connection) => {
    await connection.write(new TextEncoder().encode("ok"));
    await connection.closeWrite();
  });
  const path = (name: string) => `${here.folder}/${name}`;
  const files = { ca: path("ca"), cert: path("cert"), key: path("key") };
  const attempt = (changed: Partial<typeof files>) => () =>
    serveTls({
      address: "127.0.0.1:0",
      files: { ...files, ...changed },
      clock: systemClock,
      logger: { log: () => {}, with: () => undefined as unknown as Logger },
    }, () => Promise.resolve());
  const failure = (kind: string, sentence: RegExp) => (error: unknown) =>
    error instanceof FleetError && error.kind === kind && sentence.test(error.message);
  assert.throws(attempt({ ca: path("none") }), failure("invalid", /--tlscacert .*none/));
  await Deno.writeTextFile(path("junk"), "junk");
  assert.throws(attempt({ cert: path("junk") }), failure("invalid", /cannot be served with/));
  await Deno.writeTextFile(path("other"), here.user.keyPem, { mode: 0o600 });
  assert.throws(attempt({ key: path("other") }), failure("invalid", /does not belong/));
  await Deno.writeTextFile(path("open"), here.user.keyPem);
  await Deno.chmod(path("open"), 0o644);
  assert.throws(attempt({ key: path("open") }), failure("forbidden", /chmod 600/));

  const old = await Deno.readTextFile(files.ca);
  await Deno.writeTextFile(files.ca, "junk");
  assert.throws(() => here.server.reload(), failure("invalid", /cannot be served with/));
  assert.equal(await allOf(await here.connect(here.user)), "ok");
  // A CA that is taken away takes its users along.
  await Deno.writeTextFile(files.ca, (await makeCa()).pem);
  here.server.reload();
  assert.match(await allOf(await here.connect(here.user)), /403/);
  await Deno.writeTextFile(files.ca, old);
  here.server.reload();
  assert.equal(await allOf(await here.connect(here.user)), "ok");
});
