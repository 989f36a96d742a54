import { silentLogger } from "../../base/log.ts";
import { attachmentIds } from "../../model/network.ts";
import { engineCall, EngineError, engineJson } from "./engine.ts";
import type { EngineApi } from "./engine.ts";
import { ContainerEvents } from "./events.ts";

/** After one of these a container runs, or does not any more. */
const CHANGES = ["die", "start"];

interface ListedContainer {
  readonly Id: string;
  readonly State: string;
  /** Seconds. */
  readonly Created: number;
  readonly Labels?: Record<string, string> | null;
  readonly NetworkSettings?: {
    readonly Networks?: Record<string, { readonly IPAddress?: string } | null> | null;
  } | null;
}

interface InspectedContainer {
  readonly HostConfig?: { readonly RestartPolicy?: { readonly Name?: string } | null };
  readonly NetworkSettings?: {
    readonly Networks?: Record<string, { readonly Aliases?: string[] | null } | null> | null;
  };
}

/** What of the engine's containers `src/roles/agent/attached_containers.ts` has to know. */
export class SeenContainers {
  readonly #engine: EngineApi;
  readonly #events: ContainerEvents;

  constructor(engine: EngineApi) {
    this.#engine = engine;
    // The executor tells when the engine is away.
    this.#events = new ContainerEvents(engine, silentLogger, { events: CHANGES });
  }

  /** Follows the engine's events until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#events.run(signal);
  }

  onChange(wake: (id?: string) => void): () => void {
    return this.#events.watchAll(wake);
  }

  async list(signal: AbortSignal) {
    const path = "/containers/json?all=true";
    const listed = await engineJson<ListedContainer[]>(this.#engine, "GET", path, { signal });
    return listed.map(({ Id, State, Created, Labels, NetworkSettings }) => ({
      id: Id,
      state: State,
      createdMs: Created * 1000,
      taskIds: attachmentIds(Labels),
      addresses: Object.fromEntries(
        Object.entries(NetworkSettings?.Networks ?? {})
          .map(([name, endpoint]) => [name, endpoint?.IPAddress ?? ""]),
      ),
    }));
  }

  async startsByItself(id: string, signal: AbortSignal): Promise<boolean> {
    try {
      const { HostConfig } = await this.#inspect(id, signal);
      return !["", "no"].includes(HostConfig?.RestartPolicy?.Name ?? "");
    } catch (error) {
      // Removed just now.
      if (error instanceof EngineError && error.status === 404) return false;
      throw error;
    }
  }

  async move(
    id: string,
    { network, address, mac }: {
      readonly network: string;
      readonly address: string;
      readonly mac: string | undefined;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { NetworkSettings } = await this.#inspect(id, signal);
    const EndpointConfig = {
      Aliases: NetworkSettings?.Networks?.[network]?.Aliases ?? [],
      IPAMConfig: { IPv4Address: address },
      ...(mac ? { MacAddress: mac } : {}),
    };
    const path = `/networks/${encodeURIComponent(network)}`;
    const engine = this.#engine;
    const off = { Container: id, Force: true };
    await engineCall(engine, "POST", `${path}/disconnect`, { body: off, signal });
    const on = { Container: id, EndpointConfig };
    await engineCall(engine, "POST", `${path}/connect`, { body: on, signal });
  }

  #inspect(id: string, signal: AbortSignal): Promise<InspectedContainer> {
    return engineJson<InspectedContainer>(this.#engine, "GET", `/containers/${id}/json`, {
      signal,
    });
  }
}
