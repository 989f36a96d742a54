import { deepStrictEqual, match } from "node:assert/strict";
import type { Logger } from "../../base/log.ts";
import { silentLogger } from "../../base/log.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { ServiceManager } from "./service_manager.ts";

function setUp(variables: Record<string, string>, run?: () => Promise<void>) {
  const said: string[][] = [];
  const warnings: string[] = [];
  const clock = new ManualClock();
  const logger: Logger = { ...silentLogger, log: (_level, message) => warnings.push(message) };
  const manager = new ServiceManager({
    variable: (name) => variables[name],
    run: (program, args) => {
      said.push([program, ...args]);
      return run?.() ?? Promise.resolve();
    },
    clock,
    logger,
  });
  return { manager, said, warnings, clock };
}

Deno.test("service manager: systemd hears of readiness, beats at half its patience, and the end", async () => {
  const { manager, said, clock } = setUp({ NOTIFY_SOCKET: "/run/n", WATCHDOG_USEC: "60000000" });
  await manager.ready("up\nand well");
  deepStrictEqual(said.splice(0), [["systemd-notify", "READY=1", "STATUS=up and well"]]);
  await clock.advance(29_999);
  deepStrictEqual(said, []);
  await clock.advance(1);
  await clock.advance(30_000);
  deepStrictEqual(said.splice(0), [["systemd-notify", "WATCHDOG=1"], [
    "systemd-notify",
    "WATCHDOG=1",
  ]]);
  await manager.stopping();
  await clock.advance(120_000);
  deepStrictEqual(said, [["systemd-notify", "STOPPING=1"]]);
});

Deno.test("service manager: without systemd nothing is run", async () => {
  const { manager, said, clock } = setUp({ WATCHDOG_USEC: "60000000" });
  await manager.ready("up");
  await manager.reloading();
  await clock.advance(120_000);
  await manager.stopping();
  deepStrictEqual(said, []);
});

Deno.test("service manager: a missing systemd-notify is a warning, and the agent goes on", async () => {
  const { manager, warnings } = setUp(
    { NOTIFY_SOCKET: "/run/n" },
    () => Promise.reject(new Error("not found")),
  );
  await manager.ready("up");
  match(warnings.join(), /systemd could not be told/);
});
