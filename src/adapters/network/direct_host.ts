import { FleetError } from "../../base/errors.ts";
import { NETWORK_LABEL, withoutLength } from "../../model/network.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";
import {
  MAX_CABLES,
  nftDirectScript,
  NO_DIRECT_RULES,
  RENEW_DIRECT_RULES,
} from "../../core/network/nft_direct.ts";
import { engineJson } from "../docker/engine.ts";
import type { EngineApi } from "../docker/engine.ts";
import { followEvents } from "../docker/event_stream.ts";
import { cablesOf } from "./cables.ts";
import type { ContainerCable } from "./cables.ts";
import { runTool } from "./run_tool.ts";

/** Devices come and go while they are looked for; so many looks are enough to find them at rest. */
const ATTEMPTS = 3;
/** A cable that is plugged in was let go; the engine tells so when the device is gone. */
const UNPLUGGED = { type: ["network"], event: ["disconnect"] };

interface EngineNetworkJson {
  readonly Id: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

/** The short cut between cables of containers and VXLAN devices, in the kernel of this machine. */
export class DirectHost {
  readonly #engine: EngineApi;
  /** By network, then by container. */
  #known = new Map<string, ReadonlyMap<string, ContainerCable>>();
  /** What the last look found of those that the short cut is for: by bridge, then by container. */
  #plugged = new Map<string, Map<string, ContainerCable>>();
  #networks: readonly DesiredNetwork[] = [];
  #attempts = ATTEMPTS;
  /** What was put in force last, and how the kernel lists it. */
  #inForce: { readonly script: string; readonly listing: string } | undefined;

  constructor(engine: EngineApi) {
    this.#engine = engine;
  }

  /**
   * Puts it in force for the tasks of these networks, as far as it is not. What is in force has to be
   * renewed by another call within ten minutes.
   * @throws FleetError internal where the kernel or `nft` cannot; there is no short cut then
   */
  async apply(networks: readonly DesiredNetwork[], signal: AbortSignal): Promise<void> {
    for (let attempt = 1;; attempt++) {
      this.#plugged = await this.#plug(networks, signal);
      this.#networks = networks;
      const script = this.#script();
      if (script === this.#inForce?.script && await renew(signal) === this.#inForce.listing) return;
      const refused = await this.#put(script, signal);
      if (refused === undefined) {
        this.#attempts = ATTEMPTS;
        return;
      }
      if (attempt < this.#attempts) continue;
      // A kernel that cannot will not the next time either.
      this.#attempts = 1;
      // What is in force may name a device that is gone, too.
      await runTool(["nft", "-f", "-"], signal, NO_DIRECT_RULES);
      throw new FleetError("internal", `nft refused the short cut: ${refused}`);
    }
  }

  /** Leaves these containers to the bridge until the next look. @throws as {@link apply} */
  async unplug(containers: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    let known = false;
    for (const cables of this.#plugged.values()) {
      for (const container of containers) known = cables.delete(container) || known;
    }
    if (!known || await this.#put(this.#script(), signal) === undefined) return;
    // Others are gone as well.
    await this.apply(this.#networks, signal);
  }

  /** See `DirectPathsHost`. */
  async watch(
    unplugged: (container: string | undefined) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await followEvents(this.#engine, UNPLUGGED, {
      onEvent: ({ Actor }) => unplugged(Actor?.Attributes?.container),
      onGap: () => unplugged(undefined),
    }, signal);
  }

  #script(): string {
    return nftDirectScript(
      this.#networks,
      new Map([...this.#plugged].map(([bridge, cables]) => [
        bridge,
        // In one order always, so that the same is the same text.
        [...cables.values()].sort((a, b) => a.index - b.index),
      ])),
    );
  }

  /** Why it is not in force, if it is not; what was in force before is then, still. */
  async #put(script: string, signal: AbortSignal): Promise<string | undefined> {
    this.#inForce = undefined;
    const { success, stderr } = await runTool(["nft", "-f", "-"], signal, script);
    if (!success) return stderr.trim();
    this.#inForce = { script, listing: await renew(signal) };
  }

  async #plug(
    networks: readonly DesiredNetwork[],
    signal: AbortSignal,
  ): Promise<Map<string, Map<string, ContainerCable>>> {
    const used = networks.filter(({ tasks, remotes }) =>
      tasks.length > 0 && tasks.length <= MAX_CABLES && remotes.length > 0
    );
    const found = new Map<string, Map<string, ContainerCable>>();
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
      found.set(
        bridge,
        new Map(
          [...cables].filter(([, cable]) =>
            cable.bridge === bridge && own.has(withoutLength(cable.address))
          ),
        ),
      );
    }
    return found;
  }
}

/** How the kernel lists what is in force, without what the counters say; empty where there is nothing. */
async function renew(signal: AbortSignal): Promise<string> {
  return (await runTool(["nft", "-s", "-f", "-"], signal, RENEW_DIRECT_RULES)).stdout;
}
