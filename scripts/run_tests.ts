/**
 * Everything: what `ok` does, the simulation, then the compiled executable on real Docker Engines, and what
 * the kernel is told on one that has IPVS.
 */
import { Lab } from "../src/adapters/lab_hosts/lab.ts";
import { setup } from "./setup.ts";
import { close, OK_STEPS, runSteps } from "./steps.ts";
import type { Step } from "./steps.ts";

/** Folders of our own: labs that somebody has up do not meet ours, and all in them can be removed. */
const LABS = [1, 2].map((lane) => `/var/lib/fleet-lab-test-${Deno.pid}-${lane}`);
const TEST = ["test", "-A", "--quiet", "--no-check", "--unstable-http", "--unstable-net"];
const STEPS: readonly Step[] = [
  ...OK_STEPS,
  {
    name: "simulation of consensus under faults",
    args: ["run", "-A", "--no-check", "tests/sim/main.ts", "--seeds", "500", "--jobs", "2"],
    deadlineSeconds: 240,
    tests: true,
  },
  {
    name: "simulation of the control plane under faults",
    args: ["run", "-A", "--no-check", "tests/sim/control/main.ts", "--seeds", "200", "--jobs", "2"],
    deadlineSeconds: 600,
    tests: true,
  },
  {
    name: "compile",
    args: ["run", "-A", "scripts/compile.ts"],
    deadlineSeconds: 240,
    live: true,
  },
  {
    name: "demo",
    args: ["run", "-A", "scripts/demo.ts"],
    deadlineSeconds: 300,
  },
  {
    name: "the mesh and encryption on Debian's kernel, in emulated machines",
    args: [...TEST, "tests/vm/mesh_kernel_test.ts"],
    deadlineSeconds: 600,
    tests: true,
    secondChance: true,
  },
  {
    name: "the same between agents and engines, in emulated machines",
    args: [...TEST, "tests/vm/engines_test.ts"],
    deadlineSeconds: 1_200,
    tests: true,
    secondChance: true,
    live: true,
  },
  {
    name: "tests on real engines",
    args: [...TEST, "tests/lab"],
    deadlineSeconds: 1_500,
    tests: true,
    secondChance: true,
    live: true,
    // Labs wait more than they work: two at a time take two thirds of two processors.
    lanes: LABS.map((folder) => ({ FLEET_LAB_DIR: folder })),
  },
];

await setup({ vm: true });
const totals = await runSteps(STEPS, { FLEET_LAB_DIR: LABS[0]! });
for (const folder of LABS) {
  Deno.env.set("FLEET_LAB_DIR", folder);
  for (const name of Lab.list()) {
    console.log(`lab ${name} was left by a test that was cut short: removing it`);
    await Lab.remove(name);
  }
}
close(totals);
