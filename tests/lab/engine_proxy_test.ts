/** Published ports over IPv6 by the engine's own docker-proxy, as SCTP's are, with protocols of any kernel. */
import assert from "node:assert/strict";
import { close, writeAll } from "../../src/base/duplex.ts";
import { silentLogger } from "../../src/base/log.ts";
import type { RelayedPort } from "../../src/core/network/relayed_ports.ts";
import { realClock } from "../../src/adapters/host/real_clock.ts";
import { EngineProxy } from "../../src/adapters/network/engine_proxy.ts";
import { until } from "../support/until.ts";

const port = (protocol: RelayedPort["protocol"], published: number): RelayedPort => ({
  protocol,
  service: "echo",
  published,
  target: 9000,
  header: false,
  ipv4: false,
  reals: ["10.0.0.2"],
  draining: [],
});

const makeProxy = () =>
  new EngineProxy({
    clock: realClock,
    logger: silentLogger,
    hostname: "::1",
  });

/** In place of the kernel's mesh: says "hello" to each connection at a port of 127.0.0.1. */
async function withServer(use: (port: number) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    for await (const connection of listener) {
      await writeAll(connection, new TextEncoder().encode("hello"));
      connection.close();
    }
  };
  const served = serve();
  try {
    await use(listener.addr.port);
  } finally {
    listener.close();
    await served;
  }
}

/** What is said at a port over IPv6; undefined where nobody listens. */
async function ask(port: number): Promise<string | undefined> {
  let connection: Deno.TcpConn;
  try {
    connection = await Deno.connect({ hostname: "::1", port });
  } catch (error) {
    assert(error instanceof Deno.errors.ConnectionRefused, `${error}`);
    return;
  }
  try {
    const buffer = new Uint8Array(100);
    return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  } finally {
    close(connection);
  }
}

Deno.test("engine's proxy: passes connections on, says what is wrong, and ends when told", async () => {
  await withServer(async (published) => {
    const [proxy, other] = [makeProxy(), makeProxy()];
    assert.deepEqual([...proxy.serve([port("tcp", published)])], []);
    await until("it answers", async () => await ask(published) === "hello");
    other.serve([port("tcp", published)]);
    await until("the other one says why it does not", () => {
      const problem = other.serve([port("tcp", published)]).get(`tcp/${published}`);
      return problem !== undefined && /address already in use$/.test(problem);
    });
    await other.close();
    await proxy.close();
    assert.equal(await ask(published), undefined);
  });
});

Deno.test("engine's proxy: passes datagrams on", async () => {
  const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const client = Deno.listenDatagram({ transport: "udp", hostname: "::1", port: 0 });
  const { port: published } = server.addr as Deno.NetAddr;
  const serve = async () => {
    for await (const [said, from] of server) await server.send(said, from);
  };
  const served = serve();
  const heard = client.receive();
  const proxy = makeProxy();
  proxy.serve([port("udp", published)]);
  let answered = false;
  const answer = heard.then(([datagram]) => {
    answered = true;
    return datagram;
  });
  await until("it answers", async () => {
    await client.send(new Uint8Array([7]), { transport: "udp", hostname: "::1", port: published });
    return answered;
  });
  assert.deepEqual([...await answer], [7]);
  await proxy.close();
  client.close();
  server.close();
  await served;
});

Deno.test("engine's proxy: ends with its maker, however that ends", async () => {
  await withServer(async (published) => {
    const url = (path: string) => JSON.stringify(import.meta.resolve(path));
    const maker = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { EngineProxy } from ${url("../../src/adapters/network/engine_proxy.ts")};
         import { silentLogger as logger } from ${url("../../src/base/log.ts")};
         const clock = { monotonic: () => 0 };
         const proxy = new EngineProxy({ clock, logger, hostname: "::1" });
         proxy.serve([${JSON.stringify(port("tcp", published))}]);`,
      ],
      stdin: "null",
    }).spawn();
    try {
      await until("it answers", async () => await ask(published) === "hello");
    } finally {
      maker.kill("SIGKILL");
      await maker.status;
    }
    await until("it has ended", async () => await ask(published) === undefined);
  });
});
