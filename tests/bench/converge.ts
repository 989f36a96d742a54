import { realClock } from "../../src/adapters/host/real_clock.ts";
import { until } from "../../src/adapters/lab_hosts/process.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { initialClusterSpec } from "../../src/core/control/cluster.ts";
import { Managers } from "../sim/control/managers.ts";
import { SimNode } from "../sim/control/node.ts";
import { printTable } from "./figures.ts";

const MANAGERS = 5;
const NODES = 1_000;
const SERVICES = 20;
const TASKS = 20_000;
const LIMIT_MS = 300_000;
const TICKS_PER_SECOND = 100;

/**
 * The control plane alone: five replicas of the store, the leader's real loops and dispatcher, and 1,000 real
 * agents with stub engines, in one process. From the first service to 20,000 running tasks; then a change of
 * leader, until all nodes are ready again.
 */
export async function run(): Promise<void> {
  const random = new SeededRandom(1);
  const managers = new Managers(realClock, random, MANAGERS, { followersApply: true });
  const weather = { calm: true, instant: true };
  const nodes = Array.from(
    { length: NODES },
    (_, i) =>
      new SimNode(`n${String(i).padStart(4, "0")}`, {
        clock: realClock,
        random,
        managers,
        weather,
      }),
  );
  let peak = 0;
  const sampling = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 100);
  const rows = [["", "wall", "CPU", "entries"]];
  const part = async (name: string, act: () => Promise<unknown>) => {
    const [at, cpu, entries] = [performance.now(), cpuSeconds(), managers.entries];
    await act();
    rows.push([
      name,
      `${((performance.now() - at) / 1000).toFixed(1)} s`,
      `${(cpuSeconds() - cpu).toFixed(1)} s`,
      String(managers.entries - entries),
    ]);
  };
  const allReady = () =>
    until("all nodes ready", () => count("node", "ready") === NODES, LIMIT_MS, 20);
  const count = (table: "node" | "task", state: string) => {
    let found = 0;
    for (const { Status } of managers.truth.all(table)) if (Status.State === state) found++;
    return found;
  };
  try {
    managers.start();
    await found(managers, nodes.map(({ id }) => id));
    await part(`${NODES} agents begin their sessions`, async () => {
      for (const node of nodes) node.start();
      await allReady();
    });
    await part(`${SERVICES} services, ${TASKS} tasks, all running`, async () => {
      for (let i = 0; i < SERVICES; i++) {
        await managers.call("service.create", {
          spec: {
            Name: `s${i}`,
            Mode: { Replicated: { Replicas: TASKS / SERVICES } },
            TaskTemplate: { ContainerSpec: { Image: "good:1" } },
          },
        });
      }
      await until("all tasks running", () => count("task", "running") === TASKS, LIMIT_MS, 20);
    });
    await part("change of leader, all nodes ready again", async () => {
      await managers.elect(true);
      await allReady();
    });
    printTable(rows);
    console.log(`peak RSS of all together: ${(peak / 2 ** 20).toFixed(0)} MiB`);
  } finally {
    clearInterval(sampling);
    for (const node of nodes) node.stop();
    await Promise.all(nodes.map((node) => node.settled()));
    await managers.stop();
  }
}

async function found(managers: Managers, ids: readonly string[]): Promise<void> {
  await managers.write((tx) =>
    tx.create("cluster", {
      ID: "cluster",
      Spec: initialClusterSpec(undefined),
      RootCA: { CACert: "", JoinTokens: { Worker: "", Manager: "" } },
    })
  );
  for (const id of ids) {
    await managers.write((tx) =>
      tx.create("node", {
        ID: id,
        Spec: { Labels: {}, Role: "worker", Availability: "active" },
        Status: { State: "unknown" },
        Role: "worker",
      })
    );
  }
}

/** User and system time of this process, seconds. */
function cpuSeconds(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

if (import.meta.main) await run();
