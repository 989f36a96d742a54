import assert from "node:assert/strict";
import { writeAll } from "../../base/duplex.ts";
import { silentLogger } from "../../base/log.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";
import { PortRelay } from "./port_relay.ts";

const LOCAL = "127.0.0.1";

/** Everything that comes, to the end. */
async function readAll(connection: Deno.TcpConn): Promise<Uint8Array> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const buffer = new Uint8Array(65_536);
  for (let n; (n = await connection.read(buffer)) !== null;) parts.push(buffer.slice(0, n));
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** A task that answers `you said: ` and what it was sent, once that has ended. */
function task() {
  const listener = Deno.listen({ hostname: LOCAL, port: 0 });
  const answer = async (connection: Deno.TcpConn) => {
    const said = await readAll(connection);
    await writeAll(connection, new TextEncoder().encode("you said: "));
    await writeAll(connection, said);
    connection.close();
  };
  const serve = async () => {
    const answers: Promise<void>[] = [];
    for await (const connection of listener) answers.push(answer(connection));
    await Promise.all(answers);
  };
  const served = serve();
  return {
    port: listener.addr.port,
    close: async () => {
      listener.close();
      await served;
    },
  };
}

async function withRelay(
  options: Partial<RelayedPort>,
  use: (relay: PortRelay, port: RelayedPort) => Promise<void>,
): Promise<void> {
  const server = task();
  const free = Deno.listen({ hostname: LOCAL, port: 0 });
  free.close();
  const relay = new PortRelay({ logger: silentLogger, hostname: LOCAL });
  try {
    await use(relay, {
      protocol: "tcp",
      service: "web",
      published: free.addr.port,
      target: server.port,
      header: false,
      ipv4: true,
      reals: [LOCAL],
      draining: [],
      ...options,
    });
  } finally {
    await relay.close();
    await server.close();
  }
}

async function ask(port: number, said: Uint8Array): Promise<[answer: Uint8Array, from: number]> {
  const connection = await Deno.connect({ hostname: LOCAL, port });
  try {
    const [answer] = await Promise.all([
      readAll(connection),
      writeAll(connection, said).then(() => connection.closeWrite()),
    ]);
    return [answer, (connection.localAddr as Deno.NetAddr).port];
  } finally {
    connection.close();
  }
}

const words = (text: string) => new TextEncoder().encode(text);

Deno.test("relay: both directions pass whole, and each end by itself", async () => {
  await withRelay({}, async (relay, port) => {
    assert.deepEqual([...relay.serve([port])], []);
    const much = crypto.getRandomValues(new Uint8Array(60_000));
    const said = new Uint8Array(20 * much.length).map((_, i) => much[i % much.length]!);
    const [answer] = await ask(port.published, said);
    assert.equal(answer.length, said.length + 10);
    assert.deepEqual(answer.subarray(10), said);
  });
});

Deno.test("relay: a header tells who asked, and where", async () => {
  await withRelay({ header: true }, async (relay, port) => {
    relay.serve([port]);
    const [answer, from] = await ask(port.published, words("hello"));
    const hex = (value: number) => value.toString(16).padStart(4, "0");
    assert.equal(
      answer.subarray(10).toHex(),
      `0d0a0d0a000d0a515549540a2111000c7f0000017f000001${hex(from)}${hex(port.published)}` +
        words("hello").toHex(),
    );
  });
});

Deno.test("relay: who asks is passed on to the next task when one does not answer", async () => {
  // Nobody listens there.
  await withRelay({ reals: ["127.0.0.2", LOCAL] }, async (relay, port) => {
    relay.serve([port]);
    for (let i = 0; i < 4; i++) {
      const [answer] = await ask(port.published, words("x"));
      assert.equal(new TextDecoder().decode(answer), "you said: x");
    }
  });
});

Deno.test("relay: a closed port refuses, and keeps the connections that it has", async () => {
  await withRelay({}, async (relay, port) => {
    relay.serve([port]);
    const connection = await Deno.connect({ hostname: LOCAL, port: port.published });
    await writeAll(connection, words("first "));
    // It has been accepted when another one that came later is answered.
    await ask(port.published, words("later"));
    relay.serve([]);
    await assert.rejects(ask(port.published, words("x")), /refused|reset/i);
    await writeAll(connection, words("second"));
    await connection.closeWrite();
    assert.equal(new TextDecoder().decode(await readAll(connection)), "you said: first second");
    connection.close();
    // And may be opened again.
    assert.deepEqual([...relay.serve([port])], []);
    await ask(port.published, words("x"));
  });
});

Deno.test("relay: clients over IPv4 are not answered where the kernel shall do it", async () => {
  await withRelay({ ipv4: false }, async (relay, port) => {
    relay.serve([port]);
    const connection = await Deno.connect({ hostname: LOCAL, port: port.published });
    const answer = await readAll(connection).catch((error: unknown) => error);
    assert(answer instanceof Deno.errors.ConnectionReset || (answer as Uint8Array).length === 0);
    connection.close();
  });
});

Deno.test("relay: a port that another program has is named, and the others answer", async () => {
  const other = Deno.listen({ hostname: LOCAL, port: 0 });
  await withRelay({}, async (relay, port) => {
    const problems = relay.serve([{ ...port, published: other.addr.port }, port]);
    assert.deepEqual([...problems.keys()], [`tcp/${other.addr.port}`]);
    assert.match([...problems.values()].join(), /in use/i);
    await ask(port.published, words("x"));
  });
  other.close();
});
