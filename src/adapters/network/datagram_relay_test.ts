import assert from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import { FLOW_IDLE_MS } from "../../core/network/datagram_flows.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";
import { until } from "../lab_hosts/process.ts";
import { DatagramRelay } from "./datagram_relay.ts";

const words = (text: string) => new TextEncoder().encode(text);
const listen = (hostname: string, port = 0) =>
  Deno.listenDatagram({ transport: "udp", hostname, port });
const portOf = ({ addr }: Deno.DatagramConn) => (addr as Deno.NetAddr).port;

function unused(): number {
  const socket = listen("::");
  socket.close();
  return portOf(socket);
}

/** Resolves when others can have the port: a socket is gone only after what waited at it was told. */
const free = (hostname: string, port: number) =>
  until(`${hostname} ${port} is free`, () => {
    try {
      listen(hostname, port).close();
      return Promise.resolve(true);
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) return Promise.resolve(false);
      throw error;
    }
  });

/** A task that answers with its own address and what it was sent. */
function task(hostname: string, port = 0) {
  const socket = listen(hostname, port);
  const serve = async () => {
    try {
      for await (const [said, from] of socket) {
        await socket.send(words(`${hostname} ${new TextDecoder().decode(said)}`), from);
      }
    } catch {
      // Closed.
    }
  };
  const served = serve();
  return {
    port: portOf(socket),
    close: async () => {
      socket.close();
      await served;
    },
  };
}

/** Sends and waits for answers from one port of its own. */
class Client implements Disposable {
  readonly #socket: Deno.DatagramConn;

  constructor(hostname = "::1") {
    this.#socket = listen(hostname);
  }

  async say(text: string, port: number, hostname = "::1"): Promise<void> {
    await this.#socket.send(words(text), { transport: "udp", hostname, port });
  }

  /** The next answer, and from where it comes. */
  async hear(): Promise<[text: string, from: string]> {
    const [datagram, from] = await this.#socket.receive();
    const { hostname, port } = from as Deno.NetAddr;
    return [new TextDecoder().decode(datagram), `${hostname} ${port}`];
  }

  async ask(port: number, hostname = "::1"): Promise<string> {
    await this.say("x", port, hostname);
    const [text, from] = await this.hear();
    assert.equal(from, `${hostname} ${port}`);
    return text;
  }

  [Symbol.dispose]() {
    this.#socket.close();
  }
}

interface Given {
  readonly relay: DatagramRelay;
  readonly port: RelayedPort;
  readonly published: number;
  readonly clock: { now: number };
}

const TASKS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/** Three tasks, two of which take clients, and a relay at `addresses`. */
async function withRelay(
  use: (given: Given) => Promise<void>,
  { addresses = ["::1"], maxFlows = 100 }: { addresses?: string[]; maxFlows?: number } = {},
): Promise<void> {
  const first = task(TASKS[0]!);
  const tasks = [first, ...TASKS.slice(1).map((address) => task(address, first.port))];
  const published = unused();
  const clock = { now: 0 };
  const relay = new DatagramRelay({
    clock: { monotonic: () => clock.now },
    logger: silentLogger,
    addresses: () => addresses,
    maxFlows,
  });
  const port: RelayedPort = {
    protocol: "udp",
    service: "dns",
    published,
    target: first.port,
    header: false,
    ipv4: false,
    reals: TASKS.slice(0, 2),
    draining: [],
  };
  try {
    assert.deepEqual([...relay.serve([port])], []);
    await use({ relay, port, published, clock });
  } finally {
    await relay.close();
    for (const one of tasks) await one.close();
  }
}

Deno.test("datagram relay: each client has a task in its turn, and stays with it", async () => {
  await withRelay(async ({ published }) => {
    using one = new Client();
    using other = new Client();
    for (let i = 0; i < 3; i++) {
      assert.equal(await one.ask(published), "127.0.0.1 x");
      assert.equal(await other.ask(published), "127.0.0.2 x");
    }
  });
});

Deno.test("datagram relay: datagrams of all lengths pass whole", async () => {
  await withRelay(async ({ published }) => {
    using client = new Client();
    for (const length of [0, 1, 1_500, 9_000, 60_000]) {
      const text = "y".repeat(length);
      await client.say(text, published);
      assert.equal((await client.hear())[0], `127.0.0.1 ${text}`);
    }
  });
});

Deno.test("datagram relay: answers come from the address that was asked", async () => {
  // A machine has one IPv6 address for sure; the sockets do not care.
  const addresses = ["127.0.0.1", "127.0.0.2"];
  await withRelay(async ({ published }) => {
    using client = new Client("127.0.0.1");
    assert.equal(await client.ask(published, "127.0.0.1"), "127.0.0.1 x");
    assert.equal(await client.ask(published, "127.0.0.2"), "127.0.0.2 x");
    assert.equal(await client.ask(published, "127.0.0.1"), "127.0.0.1 x");
  }, { addresses });
});

Deno.test("datagram relay: a draining task keeps its clients; those of one that is gone move", async () => {
  await withRelay(async ({ relay, port, published }) => {
    using one = new Client();
    using other = new Client();
    assert.equal(await one.ask(published), "127.0.0.1 x");
    relay.serve([{ ...port, reals: ["127.0.0.2"], draining: ["127.0.0.1"] }]);
    assert.equal(await one.ask(published), "127.0.0.1 x");
    assert.equal(await other.ask(published), "127.0.0.2 x");
    relay.serve([{ ...port, reals: [], draining: ["127.0.0.1", "127.0.0.2"] }]);
    assert.equal(await one.ask(published), "127.0.0.1 x");
    relay.serve([{ ...port, reals: ["127.0.0.3"] }]);
    assert.equal(await one.ask(published), "127.0.0.3 x");
    assert.equal(await other.ask(published), "127.0.0.3 x");
  });
});

Deno.test("datagram relay: a flow ends when nothing was said, and for one too many", async () => {
  await withRelay(async ({ relay, port, published, clock }) => {
    using one = new Client();
    using other = new Client();
    using third = new Client();
    assert.equal(await one.ask(published), "127.0.0.1 x");
    relay.serve([port]);
    assert.equal(await one.ask(published), "127.0.0.1 x");
    clock.now += FLOW_IDLE_MS;
    relay.serve([port]);
    assert.equal(await one.ask(published), "127.0.0.2 x");
    assert.equal(await other.ask(published), "127.0.0.1 x");
    // The third one's place is that of the first.
    assert.equal(await third.ask(published), "127.0.0.2 x");
    assert.equal(await one.ask(published), "127.0.0.1 x");
  }, { maxFlows: 2 });
});

Deno.test("datagram relay: only the task itself speaks to the client", async () => {
  await withRelay(async ({ relay, port, published }) => {
    const silent = listen("127.0.0.1");
    relay.serve([{ ...port, target: portOf(silent), reals: ["127.0.0.1"] }]);
    using client = new Client();
    await client.say("x", published);
    const [, from] = await silent.receive();
    using other = new Client("127.0.0.1");
    await other.say("forged", (from as Deno.NetAddr).port, "127.0.0.1");
    // Another port of the same address is somebody else, too.
    await silent.send(words("true"), from);
    assert.equal((await client.hear())[0], "true");
    silent.close();
  });
});

Deno.test("datagram relay: a port that is taken is named until it is free; others answer", async () => {
  await withRelay(async ({ relay, port, published }) => {
    const other = listen("::1");
    const taken = { ...port, published: portOf(other) };
    const problems = relay.serve([taken, port]);
    assert.deepEqual([...problems.keys()], [`udp/${taken.published}`]);
    assert.match([...problems.values()].join(), /^::1: .*in use/i);
    using client = new Client();
    assert.equal(await client.ask(published), "127.0.0.1 x");
    other.close();
    assert.deepEqual([...relay.serve([taken, port])], []);
    assert.match(await client.ask(taken.published), /^127\.0\.0\.\d x$/);
  });
});

Deno.test("datagram relay: it listens where the machine has an address, as soon as it has it", async () => {
  // 2001:db8::1 is nobody's, and so is what no interface has.
  const addresses = ["2001:db8::1", "fe80::1%999999"];
  await withRelay(async ({ relay, port, published }) => {
    addresses.push("::1");
    assert.deepEqual([...relay.serve([port])], []);
    using client = new Client();
    assert.equal(await client.ask(published), "127.0.0.1 x");
    addresses.pop();
    relay.serve([port]);
    await free("::1", published);
  }, { addresses });
});

Deno.test("datagram relay: it listens at the machine's own IPv6 addresses, and at no other", async () => {
  const published = unused();
  const relay = new DatagramRelay({ clock: { monotonic: () => 0 }, logger: silentLogger });
  relay.serve([{
    protocol: "udp",
    service: "dns",
    published,
    target: 53,
    header: false,
    ipv4: false,
    reals: ["127.0.0.1"],
    draining: [],
  }]);
  assert.throws(() => listen("::1", published), Deno.errors.AddrInUse);
  listen("0.0.0.0", published).close();
  await relay.close();
  listen("::", published).close();
});
