/** Everything: what `ok` does, then the compiled executable on real Docker Engines. */
import { setup } from "./setup.ts";
import { close, OK_STEPS, runSteps } from "./steps.ts";
import type { Step } from "./steps.ts";

const STEPS: readonly Step[] = [
  ...OK_STEPS,
  { name: "compile", args: ["run", "-A", "scripts/compile.ts"], deadlineSeconds: 240 },
  {
    name: "tests on real engines",
    args: ["test", "-A", "--quiet", "--no-check", "--unstable-http", "tests/lab"],
    deadlineSeconds: 900,
    tests: true,
  },
];

await setup();
close(await runSteps(STEPS));
