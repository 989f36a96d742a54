import { until } from "../../src/adapters/lab_hosts/process.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { percentile, printTable } from "./figures.ts";
import { EtcdPeer } from "./etcd_peer.ts";

const CLIENTS = [1, 16, 64, 256];
const SECONDS = 5;
const VALUE_BYTES = 255;

/** Writes through the HTTP API of three managers on this machine, and of etcd beside it. */
export async function run(): Promise<void> {
  const rows = [[
    "clients",
    "fleet writes/s",
    "p50",
    "p99",
    ...["etcd with TLS between members: writes/s", "p50", "p99", "ratio"],
    ...["etcd without TLS: writes/s", "p50", "p99", "ratio"],
  ]];
  const lab = await FleetLab.up("bench", 3);
  try {
    await lab.form({ managers: 3 });
    await until(
      "three managers",
      async () => /3 managers, 3 reachable/.test(await lab.fleet("h1", "info")),
    );
    const names = await lab.fleet(
      "h1",
      "node",
      "ls",
      "--format",
      "{{.Hostname}} {{.ManagerStatus}}",
    );
    const leader = /^(\S+) Leader$/m.exec(names)![1]!;
    const socket = lab.host(leader).layout.fleetSocket;
    const data = btoa("x".repeat(VALUE_BYTES));
    let count = 0;
    for (const clients of CLIENTS) {
      const ours = await load(
        clients,
        async (client) => {
          const response = await fetch("http://127.0.0.1/configs/create", {
            method: "POST",
            client,
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ Name: `b${clients}-${count++}`, Data: data }),
          } as RequestInit);
          await response.text();
          return response.status === 201;
        },
        () =>
          Deno.createHttpClient({
            proxy: { transport: "unix", path: socket },
            poolMaxIdlePerHost: 1,
          }),
      );
      const row = [String(clients), ...cells(ours)];
      for (const tls of [true, false]) {
        const theirs = await etcdLoad(clients, data, tls);
        row.push(...cells(theirs), (ours.perSecond / theirs.perSecond).toFixed(2));
      }
      rows.push(row);
      console.log(row.join("  "));
    }
  } finally {
    await lab.down();
  }
  printTable(rows);
}

/** Only while it is measured: three idle members would take part of the two processors. */
async function etcdLoad(clients: number, value: string, tls: boolean): Promise<Load> {
  const etcd = await EtcdPeer.start({ tls });
  let count = 0;
  try {
    return await load(clients, async (client) => {
      const response = await fetch(`${etcd.url}/v3/kv/put`, {
        method: "POST",
        client,
        body: JSON.stringify({ key: btoa(`b${count++}`), value }),
      } as RequestInit);
      await response.text();
      return response.ok;
    }, () => Deno.createHttpClient({ poolMaxIdlePerHost: 1 }));
  } finally {
    await etcd.stop();
  }
}

function cells({ perSecond, ms }: Load): string[] {
  return [
    perSecond.toFixed(0),
    `${percentile(ms, 0.5).toFixed(1)} ms`,
    `${percentile(ms, 0.99).toFixed(1)} ms`,
  ];
}

interface Load {
  readonly perSecond: number;
  readonly ms: readonly number[];
}

async function load(
  clients: number,
  write: (client: Deno.HttpClient) => Promise<boolean>,
  connect: () => Deno.HttpClient,
): Promise<Load> {
  const ms: number[] = [];
  const end = performance.now() + SECONDS * 1000;
  await Promise.all(Array.from({ length: clients }, async () => {
    const client = connect();
    try {
      while (performance.now() < end) {
        const at = performance.now();
        if (await write(client)) ms.push(performance.now() - at);
      }
    } finally {
      client.close();
    }
  }));
  return { perSecond: ms.length / SECONDS, ms };
}
