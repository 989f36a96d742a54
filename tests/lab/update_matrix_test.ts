import { withFleetLab } from "../support/fleet_lab.ts";
import { createMatrix, EVENTS, playEvent } from "../support/update_matrix.ts";
import { until } from "../support/until.ts";

/** `FLEET_MATRIX=all` plays every event (`deno task matrix`); one shows that the matrix holds. */
const chosen = Deno.env.get("FLEET_MATRIX") ?? "leader killed";
const events = chosen === "all" ? Object.keys(EVENTS) : chosen.split(",");

Deno.test("updates that fail, by mode, order and failure action, when something else fails too", async (t) => {
  await withFleetLab("matrix", 3, async (lab) => {
    await lab.form({ managers: 3 });
    await until(
      "three managers",
      async () => /3 managers, 3 reachable/.test(await lab.fleet("h1", "info")),
    );
    await createMatrix(lab);
    for (const event of events) await t.step(event, () => playEvent(lab, event));
  });
});
