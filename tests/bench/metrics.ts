/** How long a scrape takes, and how large it is, with a cluster that is only a store. */
import { registerClusterFigures } from "../../src/adapters/metrics/cluster_figures.ts";
import { registerProcessFigures } from "../../src/adapters/metrics/node_figures.ts";
import { meteredRegistry } from "../../src/adapters/metrics/registry.ts";
import { FakeCluster } from "../support/fake_cluster.ts";

const SERVICES = 1_000;
const TASKS = 10_000;
const ROUNDS = 21;

export async function measureScrape(services = SERVICES, tasks = TASKS) {
  const cluster = new FakeCluster();
  cluster.fill({ nodes: 100, services, tasks });
  const { registry } = meteredRegistry();
  const refresh = [
    registerProcessFigures(registry, { version: "0", commit: "0", denoVersion: "0" }),
    registerClusterFigures(registry, () => ({
      view: cluster.store,
      leading: true,
      term: 1,
      commit: 1,
      applied: 1,
      logEntries: 1,
      voters: 3,
      reachable: 3,
      hasLeader: true,
      sessions: 100,
    })),
  ];
  const times: number[] = [];
  let text = "";
  for (let i = 0; i < ROUNDS; i++) {
    const started = performance.now();
    for (const read of refresh) read();
    text = await registry.metrics();
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  return { medianMs: times[ROUNDS >> 1]!, bytes: text.length, text };
}

export async function run(): Promise<void> {
  for (const [services, tasks] of [[10, 100], [SERVICES, TASKS]] as const) {
    const { medianMs, bytes, text } = await measureScrape(services, tasks);
    const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
    console.log(
      `${services} services, ${tasks} tasks: a scrape takes ${
        medianMs.toFixed(1)
      } ms (median of ${ROUNDS}) ` +
        `and has ${series} series in ${(bytes / 1024).toFixed(0)} KiB`,
    );
  }
}
