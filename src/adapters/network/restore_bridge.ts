import { FleetError } from "../../base/errors.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";
import { engineJson } from "../docker/engine.ts";
import type { EngineApi } from "../docker/engine.ts";
import { runTool } from "./run_tool.ts";

interface NetworkJson {
  readonly Containers?: Readonly<Record<string, { readonly MacAddress?: string }>>;
}

interface ContainerJson {
  readonly State: { readonly Running: boolean; readonly Pid: number };
}

interface LinkRow {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address?: string;
  readonly link_index?: number;
}

/**
 * Makes the bridge of an engine network that somebody deleted, and puts the containers' cables back on
 * it: the engine itself does so only when it starts. Which cable is whose follows from the index of the
 * far end that the container's own device has. When it fails there is no bridge, so that the next look
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
    await plugIn(engine, network, engineId, signal);
  } catch (error) {
    if (!signal.aborted) await runTool(["ip", "link", "del", network.bridge], signal);
    throw error;
  }
}

async function plugIn(
  engine: EngineApi,
  network: DesiredNetwork,
  engineId: string,
  signal: AbortSignal,
): Promise<void> {
  const { Containers = {} } = await engineJson<NetworkJson>(
    engine,
    "GET",
    `/networks/${engineId}`,
    { signal },
  );
  const here = links(await must(["ip", "-j", "link", "show"], signal));
  for (const [id, { MacAddress }] of Object.entries(Containers)) {
    const container = await engineJson<ContainerJson>(engine, "GET", `/containers/${id}/json`, {
      signal,
    }).catch(() => undefined);
    if (!container?.State.Running || !MacAddress) continue;
    const inside = await runTool(
      ["nsenter", "-t", String(container.State.Pid), "-n", "ip", "-j", "link", "show"],
      signal,
    );
    if (!inside.success) continue;
    const own = links(inside.stdout).find(({ address }) => address === MacAddress);
    const cable = here.find(({ ifindex }) => ifindex === own?.link_index);
    if (!cable) continue;
    await must(["ip", "link", "set", cable.ifname, "master", network.bridge, "up"], signal);
  }
}

function links(text: string): LinkRow[] {
  return JSON.parse(text || "[]") as LinkRow[];
}

async function must(argv: readonly string[], signal: AbortSignal): Promise<string> {
  const { success, stdout, stderr } = await runTool(argv, signal);
  if (!success) throw new FleetError("internal", `${argv.join(" ")}: ${stderr.trim()}`);
  return stdout;
}
