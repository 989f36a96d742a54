import { deepStrictEqual, match } from "node:assert/strict";
import type { Logger } from "../../base/log.ts";
import { silentLogger } from "../../base/log.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { datagramSender, ServiceManager } from "./service_manager.ts";

function setUp(variables: Record<string, string>, send?: () => Promise<void>) {
  const said: string[] = [];
  const warnings: string[] = [];
  const clock = new ManualClock();
  const logger: Logger = { ...silentLogger, log: (_level, message) => warnings.push(message) };
  const manager = new ServiceManager({
    variable: (name) => variables[name],
    send: (socket, text) => {
      said.push(`${socket}: ${text}`);
      return send?.() ?? Promise.resolve();
    },
    clock,
    logger,
  });
  return { manager, said, warnings, clock };
}

Deno.test("service manager: systemd hears of readiness, beats three times in its patience, and the end", async () => {
  const { manager, said, clock } = setUp({ NOTIFY_SOCKET: "/run/n", WATCHDOG_USEC: "60000000" });
  await manager.ready("up\nand well");
  deepStrictEqual(said.splice(0), ["/run/n: READY=1\nSTATUS=up and well\nWATCHDOG=1"]);
  await clock.advance(19_999);
  deepStrictEqual(said, []);
  await clock.advance(1);
  await clock.advance(20_000);
  deepStrictEqual(said.splice(0), ["/run/n: WATCHDOG=1", "/run/n: WATCHDOG=1"]);
  await manager.stopping();
  await clock.advance(120_000);
  deepStrictEqual(said, ["/run/n: STOPPING=1"]);
});

Deno.test("service manager: a reload late between two beats is a beat as well", async () => {
  const { manager, said, clock } = setUp({ NOTIFY_SOCKET: "/run/n", WATCHDOG_USEC: "60000000" });
  await manager.ready("up");
  await clock.advance(19_000);
  await manager.reloading();
  await manager.ready("reloaded");
  deepStrictEqual(said.splice(0).slice(1), [
    "/run/n: RELOADING=1",
    "/run/n: READY=1\nSTATUS=reloaded\nWATCHDOG=1",
  ]);
});

Deno.test("service manager: datagrams arrive, and leave no socket behind", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/systemd`;
  const systemd = Deno.listenDatagram({ transport: "unixpacket", path });
  await datagramSender(folder)(path, "READY=1\nSTATUS=up");
  const [bytes] = await systemd.receive();
  deepStrictEqual(new TextDecoder().decode(bytes), "READY=1\nSTATUS=up");
  deepStrictEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["systemd"]);
  systemd.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("service manager: without systemd nothing is run", async () => {
  const { manager, said, clock } = setUp({ WATCHDOG_USEC: "60000000" });
  await manager.ready("up");
  await manager.reloading();
  await clock.advance(120_000);
  await manager.stopping();
  deepStrictEqual(said, []);
});

Deno.test("service manager: a socket that takes nothing is a warning, and the agent goes on", async () => {
  const { manager, warnings } = setUp(
    { NOTIFY_SOCKET: "/run/n" },
    () => Promise.reject(new Error("not found")),
  );
  await manager.ready("up");
  match(warnings.join(), /systemd could not be told/);
});
