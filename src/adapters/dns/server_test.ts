import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import net from "node:net";
// @ts-types="./dns_packet.d.ts"
import packet from "dns-packet";
import type { DecodedPacket } from "./dns_packet.d.ts";
import type { Clock } from "../../base/clock.ts";
import { SeededRandom } from "../../base/random.ts";
import type { NameTable } from "../../core/network/names.ts";
import { realClock } from "../host/real_clock.ts";
import { framed } from "./forwarder.ts";
import { parseNameservers } from "./host_resolvers.ts";
import { DnsServer } from "./server.ts";

// Loopback addresses stand for containers and gateways: who asks is told by the source address.
// They depend on the process, so that two runs on one machine do not meet.
const OURS = `127.${64 + (Deno.pid >> 8) % 128}.${Deno.pid % 256}`;
const [GATEWAY, OTHER_GATEWAY, CONTAINER, STRANGER, SILENT, UPSTREAM] = [1, 2, 10, 99, 87, 88].map(
  (last) => `${OURS}.${last}`,
) as [string, string, string, string, string, string];
const PORT = 10_053;
const UPSTREAM_PORT = 10_054;

function table(replicas: number): NameTable {
  const endpoints = Array.from({ length: replicas }, (_, i) => ({
    owner: `task${i}`,
    service: "web",
    names: [`web.${i + 1}.task${i}`],
    addresses: [i === 0 ? CONTAINER : `10.1.${i >> 8}.${i & 255}`],
    serving: true,
  }));
  return {
    networks: [{
      id: "n1",
      name: "front",
      subnets: ["10.1.0.0/16"],
      services: [
        { name: "web", aliases: [], vips: [] },
        { name: "api", aliases: [], vips: ["10.1.0.2"] },
      ],
      endpoints,
    }],
  };
}

async function withServer(
  run: (server: DnsServer, resolvers: string[]) => Promise<void>,
  clock: Clock = realClock,
): Promise<void> {
  const resolvers: string[] = [];
  const server = new DnsServer({
    clock,
    random: new SeededRandom(1),
    resolvers: { current: () => resolvers },
    port: PORT,
    forwardPort: UPSTREAM_PORT,
  });
  server.setTable(() => table(3));
  try {
    assert.deepEqual(await server.listenOn([GATEWAY]), []);
    await run(server, resolvers);
  } finally {
    await server.close();
  }
}

interface Ask {
  readonly from?: string;
  readonly to?: string;
  readonly type?: string;
}

function bytesOf(name: string, type: string): Uint8Array {
  const flags = packet.RECURSION_DESIRED;
  return packet.encode({ type: "query", id: 77, flags, questions: [{ name, type }] });
}

function overUdp(name: string, ask: Ask = {}): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket("udp4");
    socket.on("error", reject);
    socket.on("message", (message) => {
      socket.close();
      resolve(packet.decode(Buffer.from(message)));
    });
    socket.bind(0, ask.from ?? CONTAINER, () => {
      socket.send(bytesOf(name, ask.type ?? "A"), PORT, ask.to ?? GATEWAY);
    });
  });
}

/** Sends all questions at once over one connection. */
function overTcp(names: readonly string[], from = CONTAINER): Promise<DecodedPacket[]> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: GATEWAY, port: PORT, localAddress: from });
    let received = Buffer.alloc(0);
    const found: DecodedPacket[] = [];
    socket.on("error", reject);
    socket.on("connect", () => {
      for (const name of names) socket.write(framed(bytesOf(name, "A")));
    });
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      for (;;) {
        const length = received.length >= 2 ? received.readUInt16BE(0) : Infinity;
        if (received.length < length + 2) break;
        found.push(packet.decode(received.subarray(2, length + 2)));
        received = received.subarray(length + 2);
      }
      if (found.length < names.length) return;
      socket.on("close", () => resolve(found));
      socket.destroy();
    });
  });
}

const rcode = (answer: DecodedPacket) => answer.rcode;
const data = (answer: DecodedPacket) => (answer.answers ?? []).map((record) => record.data).sort();

Deno.test("a container is answered over UDP and TCP; a stranger is not", async () => {
  await withServer(async () => {
    const answer = await overUdp("API");
    assert.deepEqual(data(answer), ["10.1.0.2"]);
    assert.equal(answer.flag_aa, true);
    assert.deepEqual((await overTcp(["api", "web"])).map(data).sort(), [
      ["10.1.0.1", "10.1.0.2", CONTAINER],
      ["10.1.0.2"],
    ]);
    assert.equal(rcode(await overUdp("api", { from: STRANGER })), "NXDOMAIN");
    const pointer = await overUdp(`${CONTAINER.split(".").reverse().join(".")}.in-addr.arpa`, {
      type: "PTR",
    });
    assert.deepEqual(data(pointer), ["web.1.task0.front"]);
    const v6 = await overUdp("api", { type: "AAAA" });
    assert.deepEqual([rcode(v6), v6.answers?.length], ["NOERROR", 0]);
  });
});

Deno.test("a task that is gone from the table is gone from the next answer", async () => {
  await withServer(async (server) => {
    assert.equal(data(await overUdp("web")).length, 3);
    server.setTable(() => table(1));
    assert.deepEqual(data(await overUdp("web")), [CONTAINER]);
  });
});

Deno.test("what does not fit a datagram is asked again over TCP", async () => {
  await withServer(async (server) => {
    server.setTable(() => table(300));
    const cut = await overUdp("web");
    assert.deepEqual([cut.flag_tc, cut.answers?.length], [true, 0]);
    const [whole] = await overTcp(["web"]);
    assert.equal(whole?.answers?.length, 300);
  });
});

Deno.test("addresses come in a new order each time", async () => {
  await withServer(async () => {
    const firsts = new Set<unknown>();
    for (let i = 0; i < 40; i++) {
      const [first] = (await overUdp("web")).answers ?? [];
      firsts.add(first?.data);
    }
    assert.equal(firsts.size, 3);
  });
});

Deno.test("listens on exactly the addresses it is told, and says which it cannot have", async () => {
  await withServer(async (server) => {
    assert.deepEqual(await server.listenOn([GATEWAY, OTHER_GATEWAY]), []);
    assert.deepEqual(data(await overUdp("api", { to: OTHER_GATEWAY })), ["10.1.0.2"]);
    const failures = await server.listenOn([OTHER_GATEWAY, "198.51.100.7"]);
    assert.deepEqual(failures, [{
      address: "198.51.100.7",
      reason: "the address 198.51.100.7 is not on this machine",
    }]);
    assert.deepEqual(server.addresses, [OTHER_GATEWAY]);
    const again = dgram.createSocket("udp4");
    await new Promise<void>((resolve, reject) => {
      again.on("error", reject);
      again.bind({ address: GATEWAY, port: PORT, exclusive: true }, resolve);
    });
    const [taken] = await server.listenOn([GATEWAY]);
    assert.match(taken?.reason ?? "", /another program listens on port/);
    await new Promise<void>((resolve) => again.close(() => resolve()));
  });
});

/** A server at SILENT that never answers; the wait for it is over as soon as it is asked. */
async function silentServer(): Promise<{ clock: Clock; asked: () => number; close(): void }> {
  const waits = new Set<() => void>();
  const clock: Clock = {
    ...realClock,
    after: (_ms, fn) => {
      waits.add(fn);
      return () => void waits.delete(fn);
    },
  };
  let asked = 0;
  const socket = dgram.createSocket("udp4");
  socket.on("message", () => {
    asked++;
    // The tests ask one question at a time, so this is the one that is waited for.
    for (const over of [...waits]) over();
  });
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.bind(UPSTREAM_PORT, SILENT, resolve);
  });
  return { clock, asked: () => asked, close: () => socket.close() };
}

Deno.test("the rest is forwarded: the next server when one is silent, SERVFAIL when all are", async () => {
  const upstream = dgram.createSocket("udp4");
  let refuse = false;
  upstream.on("message", (message, from) => {
    const asked = packet.decode(Buffer.from(message));
    const [question] = asked.questions ?? [];
    upstream.send(
      packet.encode({
        type: "response",
        id: asked.id ?? 0,
        flags: refuse ? 2 : 0,
        questions: [question!],
        answers: refuse ? [] : [{ name: question!.name, type: "A", ttl: 60, data: "192.0.2.80" }],
      }),
      from.port,
      from.address,
    );
  });
  await new Promise<void>((resolve) => upstream.bind(UPSTREAM_PORT, UPSTREAM, resolve));
  const silent = await silentServer();
  try {
    await withServer(async (server, resolvers) => {
      assert.equal(rcode(await overUdp("example.com")), "NXDOMAIN", "nobody to ask");
      resolvers.push(SILENT, UPSTREAM);
      const answer = await overUdp("example.com");
      assert.deepEqual([answer.id, ...data(answer)], [77, "192.0.2.80"]);
      assert.equal(silent.asked(), 1);
      refuse = true;
      assert.equal(rcode(await overUdp("example.com")), "SERVFAIL");
      assert.equal(server.stats.forwarded, 2);
      resolvers.length = 0;
      resolvers.push(SILENT);
      assert.equal(rcode(await overUdp("example.com")), "SERVFAIL");
      assert.equal(server.stats.failed, 1);
    }, silent.clock);
  } finally {
    silent.close();
    await new Promise<void>((resolve) => upstream.close(() => resolve()));
  }
});

Deno.test("reads the nameservers of a resolv.conf and no more than the C library does", () => {
  const text =
    "# nameserver 1.1.1.1\nsearch home\nnameserver 192.0.2.1\n nameserver\tfe80::1%eth0 \n" +
    "nameserver not-an-address\nnameserver 192.0.2.1\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
  assert.deepEqual(parseNameservers(text), ["192.0.2.1", "fe80::1", "192.0.2.3"]);
});
