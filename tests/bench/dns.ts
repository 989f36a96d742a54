/**
 * The node's name server beside dnsmasq with the same 1,000 services: questions per second by dnsperf
 * (100 in flight), and the time of single answers with 16 in flight, over UDP on loopback.
 *
 *     deno task bench dns
 */
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
// @ts-types="../../src/adapters/dns/dns_packet.d.ts"
import packet from "dns-packet";
import { DnsServer } from "../../src/adapters/dns/server.ts";
import { realClock, realRandom } from "../../src/adapters/host/real_clock.ts";
import { median, percentile, printTable } from "./figures.ts";

const SERVICES = 1_000;
const TASKS = 10;
const ROUNDS = 3;
const SECONDS = 4;
const IN_FLIGHT = 16;
const TIMED_QUESTIONS = 20_000;
const PORT = 10_153;
const CONTAINER = "127.60.0.10";
const FLEET = "127.60.0.1";
const DNSMASQ = "127.60.0.2";

const vipOf = (i: number) => `10.60.${i >> 8}.${i & 255}`;
const nameOf = (i: number) => `service-${i}`;

/** Runs in a process of its own: `deno run … tests/bench/dns.ts serve`. */
async function serve(): Promise<void> {
  const server = new DnsServer({
    clock: realClock,
    random: realRandom,
    resolvers: { current: () => [] },
    port: PORT,
  });
  server.setTable(() => ({
    networks: [{
      id: "n",
      name: "front",
      subnets: ["10.60.0.0/16"],
      services: Array.from({ length: SERVICES }, (_, i) => ({
        name: nameOf(i),
        aliases: [],
        vips: [vipOf(i)],
      })),
      endpoints: Array.from({ length: SERVICES * TASKS }, (_, i) => ({
        owner: `task${i}`,
        service: nameOf(i % SERVICES),
        names: [`${nameOf(i % SERVICES)}.${i}.task${i}`],
        addresses: [i === 0 ? CONTAINER : `10.61.${i >> 8}.${i & 255}`],
        serving: true,
      })),
    }],
  }));
  const failures = await server.listenOn([FLEET]);
  if (failures.length) throw new Error(failures[0]!.reason);
  console.log("ready");
  // Ends with its standard input, so with the benchmark.
  await Deno.stdin.readable.pipeTo(new WritableStream());
  await server.close();
}

async function questionsPerSecond(server: string, file: string): Promise<number> {
  const { stdout } = await new Deno.Command("dnsperf", {
    args: ["-s", server, "-p", `${PORT}`, "-a", CONTAINER, "-d", file, "-l", `${SECONDS}`],
  }).output();
  const text = new TextDecoder().decode(stdout);
  const lost = Number(/Queries lost:\s+(\d+)/.exec(text)?.[1]);
  const rate = Number(/Queries per second:\s+([\d.]+)/.exec(text)?.[1]);
  if (!(rate > 0) || lost !== 0 || !/NOERROR \d+ \(100\.00%\)/.test(text)) {
    throw new Error(`dnsperf did not get its answers:\n${text}`);
  }
  return rate;
}

/** Milliseconds of each answer. */
async function latencies(server: string): Promise<number[]> {
  const found: number[] = [];
  let next = 0;
  const client = () =>
    new Promise<void>((resolve, reject) => {
      const socket = dgram.createSocket("udp4");
      let at = 0;
      const ask = () => {
        if (next >= TIMED_QUESTIONS) return socket.close(() => resolve());
        const id = next++ & 0xffff;
        const questions = [{ name: nameOf(id % SERVICES), type: "A" }];
        at = performance.now();
        socket.send(packet.encode({ type: "query", id, questions }), PORT, server);
      };
      socket.on("error", reject);
      socket.on("message", (message) => {
        found.push(performance.now() - at);
        if (packet.decode(Buffer.from(message)).answers?.length !== 1) {
          reject(new Error("no answer"));
        }
        ask();
      });
      socket.bind(0, CONTAINER, ask);
    });
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  return found;
}

async function startFleet(): Promise<Deno.ChildProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, "serve"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return child;
}

async function startDnsmasq(folder: string): Promise<Deno.ChildProcess> {
  const hosts = Array.from({ length: SERVICES }, (_, i) => `${vipOf(i)} ${nameOf(i)}`).join("\n");
  await Deno.writeTextFile(`${folder}/hosts`, `${hosts}\n`);
  const child = new Deno.Command("dnsmasq", {
    args: [
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--no-resolv",
      "--no-hosts",
      "--bind-interfaces",
      `--addn-hosts=${folder}/hosts`,
      `--listen-address=${DNSMASQ}`,
      `--port=${PORT}`,
      `--pid-file=${folder}/pid`,
      "--user=root",
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let tries = 0; tries < 100; tries++) {
    const up = await Deno.connect({ hostname: DNSMASQ, port: PORT }).then((conn) => {
      conn.close();
      return true;
    }, () => false);
    if (up) return child;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("dnsmasq did not start");
}

export async function run(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-bench-dns-" });
  const names = `${folder}/names`;
  const lines = Array.from({ length: SERVICES }, (_, i) => `${nameOf(i)} A`).join("\n");
  await Deno.writeTextFile(names, `${lines}\n`);
  const fleet = await startFleet();
  const dnsmasq = await startDnsmasq(folder);
  try {
    const peers = [["fleet", FLEET], ["dnsmasq", DNSMASQ]] as const;
    const rates = new Map<string, number[]>();
    const times = new Map<string, number[]>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [peer, address] of peers) {
        rates.set(peer, [...(rates.get(peer) ?? []), await questionsPerSecond(address, names)]);
        times.set(peer, [...(times.get(peer) ?? []), ...await latencies(address)]);
      }
    }
    printTable([
      ["server", "questions/s (median of 3)", "p50 ms", "p99 ms"],
      ...peers.map(([peer]) => [
        peer,
        median(rates.get(peer)!).toFixed(0),
        percentile(times.get(peer)!, 0.5).toFixed(2),
        percentile(times.get(peer)!, 0.99).toFixed(2),
      ]),
    ]);
    const ratio = median(rates.get("fleet")!) / median(rates.get("dnsmasq")!);
    console.log(`fleet / dnsmasq: ${ratio.toFixed(2)}`);
  } finally {
    await fleet.stdin.close();
    dnsmasq.kill("SIGTERM");
    await Promise.all([fleet.status, dnsmasq.status]);
    await fleet.stdout.cancel();
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await (Deno.args[0] === "serve" ? serve() : run());
