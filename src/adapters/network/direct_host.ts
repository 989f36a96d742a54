import { FleetError } from "../../base/errors.ts";
import { NETWORK_LABEL, withoutLength } from "../../model/network.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";
import { MAX_CABLES, nftDirectScript } from "../../core/network/nft_direct.ts";
import type { Cable } from "../../core/network/nft_direct.ts";
import { TABLE } from "../../core/network/nft_ruleset.ts";
import { engineJson } from "../docker/engine.ts";
import type { EngineApi } from "../docker/engine.ts";
import { cablesOf } from "./cables.ts";
import type { ContainerCable } from "./cables.ts";
import { runTool } from "./run_tool.ts";

interface EngineNetworkJson {
  readonly Id: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

/** The short cut between cables of containers and VXLAN devices, in the kernel of this machine. */
export class DirectHost {
  readonly #engine: EngineApi;
  /** By network, then by container. */
  #known = new Map<string, ReadonlyMap<string, ContainerCable>>();
  /** What was put in force last, and how the kernel lists it. */
  #inForce: { readonly script: string; readonly listing: string } | undefined;

  constructor(engine: EngineApi) {
    this.#engine = engine;
  }

  /**
   * Puts it in force for the tasks of these networks, as far as it is not.
   * @throws FleetError internal where the kernel or `nft` cannot
   */
  async apply(networks: readonly DesiredNetwork[], signal: AbortSignal): Promise<void> {
    const script = nftDirectScript(networks, await this.#cables(networks, signal));
    if (script === this.#inForce?.script && await list(signal) === this.#inForce.listing) return;
    this.#inForce = undefined;
    const { success, stderr } = await runTool(["nft", "-f", "-"], signal, script);
    if (!success) {
      throw new FleetError("internal", `nft refused the short cut: ${stderr.trim()}`);
    }
    this.#inForce = { script, listing: await list(signal) };
  }

  async #cables(
    networks: readonly DesiredNetwork[],
    signal: AbortSignal,
  ): Promise<Map<string, Cable[]>> {
    const used = networks.filter(({ tasks, remotes }) =>
      tasks.length > 0 && tasks.length <= MAX_CABLES && remotes.length > 0
    );
    const found = new Map<string, Cable[]>();
    const known = this.#known;
    this.#known = new Map();
    if (used.length === 0) return found;
    const there = await engineJson<EngineNetworkJson[]>(this.#engine, "GET", "/networks", {
      signal,
    });
    for (const { id, bridge, tasks } of used) {
      const engineId = there.find(({ Labels }) => Labels?.[NETWORK_LABEL] === id)?.Id;
      if (engineId === undefined) continue;
      const cables = await cablesOf(this.#engine, engineId, signal, known.get(id));
      this.#known.set(id, cables);
      const own = new Set(tasks);
      const plugged = [...cables.values()].filter((cable) =>
        cable.bridge === bridge && own.has(withoutLength(cable.address))
      );
      // In one order always, so that the same is the same text.
      plugged.sort((a, b) => a.index - b.index);
      found.set(bridge, plugged.map(({ mac, device }) => ({ mac, device })));
    }
    return found;
  }
}

/** Without what the counters say. */
async function list(signal: AbortSignal): Promise<string> {
  return (await runTool(["nft", "-s", "list", "table", "netdev", TABLE], signal)).stdout;
}
