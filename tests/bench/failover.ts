import { until } from "../../src/adapters/lab_hosts/process.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { median, printTable } from "./figures.ts";

const ROUNDS = 20;

/** The leader killed, until another manager accepts a write. */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 3);
  const times: number[] = [];
  try {
    await lab.form({ managers: 3 });
    await until(
      "three managers",
      async () => /3 managers, 3 reachable/.test(await lab.fleet("h1", "info")),
    );
    for (let round = 0; round < ROUNDS; round++) {
      const names = await lab.fleet(
        "h1",
        "node",
        "ls",
        "--format",
        "{{.Hostname}} {{.ManagerStatus}}",
      );
      const leader = /^(\S+) Leader$/m.exec(names)![1]!;
      const other = leader === "h1" ? "h2" : "h1";
      lab.host(leader).signal("agent", "SIGKILL");
      const at = performance.now();
      for (;;) {
        if (await accepts(lab, other, `round-${round}-${times.length}`)) break;
      }
      times.push(performance.now() - at);
      await lab.host(leader).stop("agent", "SIGKILL");
      await lab.host(leader).startAgent();
      await until(
        "back",
        async () => (await lab.try("h1", "info")).stdout.includes("3 managers, 3 reachable"),
        30_000,
      );
    }
  } finally {
    await lab.down();
  }
  printTable([
    ["leader killed -> next accepted write", "median", "max", "rounds"],
    [
      "fleet",
      `${median(times).toFixed(0)} ms`,
      `${Math.max(...times).toFixed(0)} ms`,
      String(ROUNDS),
    ],
  ]);
}

let count = 0;

/** One write through the HTTP API. */
async function accepts(lab: FleetLab, host: string, name: string): Promise<boolean> {
  const client = Deno.createHttpClient({
    proxy: { transport: "unix", path: lab.host(host).layout.fleetSocket },
  });
  try {
    const response = await fetch("http://127.0.0.1/configs/create", {
      method: "POST",
      client,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ Name: `${name}-${count++}`, Data: "eA==" }),
    } as RequestInit);
    await response.text();
    return response.status === 201;
  } catch {
    return false;
  } finally {
    client.close();
  }
}
