import { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY } from "../support/fleet_lab.ts";
import { median, printTable, timed } from "./figures.ts";

const ROUNDS = 5;
const NAME = "benchlab";

/** `fleet lab up`: hosts, engines, agents and the cluster, until every node is ready. */
export async function run(): Promise<void> {
  const rows = [["command", "median", "max"]];
  for (const managers of ["1", "3"]) {
    const args = ["lab", "up", "--name", NAME, "--hosts", "3", "--managers", managers];
    const times: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      await Lab.remove(NAME);
      times.push(
        await timed(async () => {
          const { code, stderr } = await capture([BINARY, ...args], { timeoutMs: 120_000 });
          if (code !== 0) throw new Error(stderr);
        }),
      );
    }
    await Lab.remove(NAME);
    rows.push([
      `fleet ${args.filter((word) => word !== "--name" && word !== NAME).join(" ")}`,
      `${(median(times) / 1000).toFixed(2)} s`,
      `${(Math.max(...times) / 1000).toFixed(2)} s`,
    ]);
  }
  printTable(rows);
}
