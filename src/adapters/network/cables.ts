import { FleetError } from "../../base/errors.ts";
import { engineJson } from "../docker/engine.ts";
import type { EngineApi } from "../docker/engine.ts";
import { runTool } from "./run_tool.ts";

interface NetworkJson {
  readonly Containers?: Readonly<
    Record<string, { readonly MacAddress?: string; readonly IPv4Address?: string }>
  >;
}

interface ContainerJson {
  readonly State: { readonly Running: boolean; readonly Pid: number };
}

interface LinkRow {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address?: string;
  readonly link_index?: number;
  readonly master?: string;
}

/** The host's end of a container's cable. */
export interface ContainerCable {
  readonly device: string;
  readonly index: number;
  /** The bridge that it is plugged in, if any. */
  readonly bridge: string | undefined;
  /** The container's own hardware address, and IPv4 address with length. */
  readonly mac: string;
  readonly address: string;
}

/**
 * The cables of an engine network's running containers, by container. Which is whose follows from the index
 * of the far end that the container's own device has. A cable in `known` that is still there is not looked
 * up again.
 */
export async function cablesOf(
  engine: EngineApi,
  engineId: string,
  signal: AbortSignal,
  known: ReadonlyMap<string, ContainerCable> = new Map(),
): Promise<Map<string, ContainerCable>> {
  const { Containers = {} } = await engineJson<NetworkJson>(
    engine,
    "GET",
    `/networks/${engineId}`,
    { signal },
  );
  const here = new Map(
    parse(await must(["ip", "-j", "link", "show"], signal)).map((link) => [link.ifindex, link]),
  );
  const found = new Map<string, ContainerCable>();
  for (const [id, { MacAddress: mac, IPv4Address: address = "" }] of Object.entries(Containers)) {
    if (!mac) continue;
    const before = known.get(id);
    const index = before?.mac === mac && here.get(before.index)?.ifname === before.device
      ? before.index
      : await farEnd(engine, id, mac, signal);
    const link = index === undefined ? undefined : here.get(index);
    if (!link) continue;
    found.set(id, { device: link.ifname, index: link.ifindex, bridge: link.master, mac, address });
  }
  return found;
}

/** Index of the host's end of the container's device with a hardware address. */
async function farEnd(
  engine: EngineApi,
  container: string,
  mac: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { State } = await engineJson<Partial<ContainerJson>>(
    engine,
    "GET",
    `/containers/${container}/json`,
    { signal },
  ).catch((): Partial<ContainerJson> => ({}));
  signal.throwIfAborted();
  if (!State?.Running) return undefined;
  const inside = await runTool(
    ["nsenter", "-t", String(State.Pid), "-n", "ip", "-j", "link", "show"],
    signal,
  );
  if (!inside.success) return undefined;
  return parse(inside.stdout).find(({ address }) => address === mac)?.link_index;
}

function parse(text: string): LinkRow[] {
  return JSON.parse(text || "[]") as LinkRow[];
}

async function must(argv: readonly string[], signal: AbortSignal): Promise<string> {
  const { success, stdout, stderr } = await runTool(argv, signal);
  if (!success) throw new FleetError("internal", `${argv.join(" ")}: ${stderr.trim()}`);
  return stdout;
}
