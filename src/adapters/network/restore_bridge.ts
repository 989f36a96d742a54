import { FleetError } from "../../base/errors.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";
import type { EngineApi } from "../docker/engine.ts";
import { cablesOf } from "./cables.ts";
import { runTool } from "./run_tool.ts";

/**
 * Makes the bridge of an engine network that somebody deleted, and puts the containers' cables back on
 * it: the engine itself does so only when it starts. When it fails there is no bridge, so that the next look
 * finds it missing and does all of it again.
 */
export async function restoreBridge(
  engine: EngineApi,
  network: DesiredNetwork,
  engineId: string,
  signal: AbortSignal,
): Promise<void> {
  await must(["ip", "link", "add", network.bridge, "type", "bridge"], signal);
  try {
    await must(["ip", "link", "set", network.bridge, "mtu", String(network.mtu), "up"], signal);
    for (const { device } of (await cablesOf(engine, engineId, signal)).values()) {
      await must(["ip", "link", "set", device, "master", network.bridge, "up"], signal);
    }
  } catch (error) {
    if (!signal.aborted) await runTool(["ip", "link", "del", network.bridge], signal);
    throw error;
  }
}

async function must(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const { success, stderr } = await runTool(argv, signal);
  if (!success) throw new FleetError("internal", `${argv.join(" ")}: ${stderr.trim()}`);
}
