/**
 * Benchmarks against peers, side by side in one run:
 *
 *     deno task bench NAME (without a name it lists them)
 *
 * Figures belong into the table of tests/bench/README.md.
 */
import { compile } from "./compile.ts";
import { setup } from "./setup.ts";

const BENCHES: Readonly<Record<string, () => Promise<{ run(): Promise<void> }>>> = {
  deploy: () => import("../tests/bench/deploy.ts"),
  cli: () => import("../tests/bench/cli.ts"),
  lab: () => import("../tests/bench/lab.ts"),
  idle: () => import("../tests/bench/idle.ts"),
  raft: () => import("../tests/bench/raft.ts"),
  restart: () => import("../tests/bench/restart.ts"),
  failover: () => import("../tests/bench/failover.ts"),
  "failover-worker": () => import("../tests/bench/failover_worker.ts"),
  schedule: () => import("../tests/bench/schedule.ts"),
  converge: () => import("../tests/bench/converge.ts"),
  network: () => import("../tests/bench/network.ts"),
  resolvable: () => import("../tests/bench/resolvable.ts"),
  mesh: () => import("../tests/bench/mesh.ts"),
  ui: () => import("../tests/bench/ui.ts"),
  metrics: () => import("../tests/bench/metrics.ts"),
  dns: () => import("../tests/bench/dns.ts"),
  api: () => import("../tests/bench/api.ts"),
};

const load = BENCHES[Deno.args[0] ?? ""];
if (!load) {
  console.error(`deno task bench NAME, where NAME is one of ${Object.keys(BENCHES).join(", ")}`);
  Deno.exit(2);
}
await setup({ bench: true });
await compile();
await (await load()).run();
