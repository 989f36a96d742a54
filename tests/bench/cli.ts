import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY, FleetLab } from "../support/fleet_lab.ts";
import { median, printTable, timed } from "./figures.ts";

const ROUNDS = 30;

/** Wall time and peak memory of short commands. */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 1);
  try {
    await lab.form();
    const rows = [["command", "median", "max", "peak memory"]];
    for (const args of [["--version"], ["--help"], ["node", "ls"], ["service", "ls"]]) {
      const env = lab.host("h1").env();
      const times: number[] = [];
      for (let i = 0; i < ROUNDS; i++) {
        times.push(await timed(() => capture([BINARY, ...args], { env })));
      }
      // VmHWM of a process that has ended cannot be read; GNU time's own figure can.
      const { stderr } = await capture([
        "/bin/sh",
        "-c",
        `python3 - "$@" <<'P'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
P`,
        "sh",
        BINARY,
        ...args,
      ], { env });
      rows.push([
        `fleet ${args.join(" ")}`,
        `${median(times).toFixed(0)} ms`,
        `${Math.max(...times).toFixed(0)} ms`,
        `${(Number(stderr.trim()) / 1024).toFixed(0)} MiB`,
      ]);
    }
    printTable(rows);
  } finally {
    await lab.down();
  }
}
