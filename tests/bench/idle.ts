import { until } from "../../src/adapters/lab_hosts/process.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { printTable } from "./figures.ts";

const SECONDS = 30;
const TICKS_PER_SECOND = 100;

/**
 * Memory and processor time of idle agents: the only manager, a worker, one outside any cluster; then the leader and
 * a follower of three managers.
 */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 3);
  const rows = [["agent", "RSS", "CPU of one core"]];
  try {
    await lab.fleet("h1", "init", "--advertise-addr", lab.host("h1").address);
    const join = async (host: string, role: string) => {
      const token = (await lab.fleet("h1", "join-token", "-q", role)).trim();
      await lab.fleet(host, "join", "--token", token, `${lab.host("h1").address}:2377`);
    };
    await join("h2", "worker");
    rows.push(
      ...await measured(lab, [["h1", "manager"], ["h2", "worker"], ["h3", "outside"]]),
    );
    await join("h3", "manager");
    await lab.fleet("h1", "node", "promote", "h2");
    await until(
      "three managers",
      async () => /3 managers, 3 reachable/.test((await lab.try("h1", "info")).stdout),
    );
    rows.push(...await measured(lab, [["h1", "leader of three"], ["h3", "follower"]]));
  } finally {
    await lab.down();
  }
  printTable(rows);
}

async function measured(
  lab: FleetLab,
  hosts: readonly (readonly [host: string, role: string])[],
): Promise<string[][]> {
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const before = hosts.map(([host]) => cpuSeconds(lab.host(host).pid("agent")!));
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  return hosts.map(([host, role], i) => {
    const pid = lab.host(host).pid("agent")!;
    const share = (cpuSeconds(pid) - before[i]!) / SECONDS;
    return [role, `${rssMiB(pid).toFixed(0)} MiB`, `${(share * 100).toFixed(2)} %`];
  });
}

function cpuSeconds(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function rssMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
}
