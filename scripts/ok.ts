/** The gate before every commit: format, lint, types, unit, scenario and architecture tests. */
import { close, OK_STEPS, runSteps } from "./steps.ts";

close(await runSteps(OK_STEPS));
