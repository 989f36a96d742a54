import { FleetLab } from "../support/fleet_lab.ts";
import { printTable } from "./figures.ts";

const SECONDS = 30;
const TICKS_PER_SECOND = 100;

/** Memory and processor time of idle agents: a manager that leads, a worker, one outside any cluster. */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 3);
  try {
    await lab.fleet("h1", "init", "--advertise-addr", lab.host("h1").address);
    const token = (await lab.fleet("h1", "join-token", "-q", "worker")).trim();
    await lab.fleet("h2", "join", "--token", token, `${lab.host("h1").address}:2377`);
    const hosts = [["h1", "manager"], ["h2", "worker"], ["h3", "outside"]] as const;
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const before = hosts.map(([host]) => cpuSeconds(lab.host(host).pid("agent")!));
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
    printTable([
      ["agent", "RSS", "CPU of one core"],
      ...hosts.map(([host, role], i) => {
        const pid = lab.host(host).pid("agent")!;
        const share = (cpuSeconds(pid) - before[i]!) / SECONDS;
        return [role, `${rssMiB(pid).toFixed(0)} MiB`, `${(share * 100).toFixed(2)} %`];
      }),
    ]);
  } finally {
    await lab.down();
  }
}

function cpuSeconds(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function rssMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
}
