import type { Context } from "hono";
import { OPTION } from "../../model/network.ts";
import type { Network } from "../../model/network.ts";
import { targetOf } from "../engine_fetch.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { networkResource } from "../projection/network.ts";
import { passesFilters } from "./network_filters.ts";

/** The engine's part of a network of the cluster, as `GET /networks` tells of it. */
interface LocalPart {
  readonly Id: string;
  readonly Name: string;
  readonly Created?: string;
  readonly Internal?: boolean;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string }[] | null };
  readonly Containers?: Readonly<Record<string, unknown>> | null;
}

const BRIDGE_NAME = "com.docker.network.bridge.name";
/** The mesh's network has this name unless somebody made it anew with another. */
const INGRESS = "ingress";

/**
 * The networks of the cluster that this worker has a part of, as Docker's workers show theirs: nobody here
 * knows of others. `label` marks the engine's parts; its value is the network's id.
 */
export class WorkerNetworks {
  readonly #engine: EngineFetch;
  readonly #label: string;

  constructor(engine: EngineFetch, label: string) {
    this.#engine = engine;
    this.#label = label;
  }

  async list(
    context: Context,
    filters: ReadonlyMap<string, readonly string[]>,
  ): Promise<Record<string, unknown>[]> {
    const networks = (await this.#parts(context)).map((part) => this.#network(part));
    // What is here is here because something here is on it.
    return networks.filter((network) => passesFilters(network, filters, () => true))
      .map(networkResource);
  }

  /** By id, name, or the beginning of the id; undefined when there is none here. */
  async find(context: Context, reference: string): Promise<Record<string, unknown> | undefined> {
    if (reference === "") return undefined;
    const parts = await this.#parts(context);
    const idOf = ({ Labels }: LocalPart) => Labels?.[this.#label] ?? "";
    const part = parts.find((one) => idOf(one) === reference || one.Name === reference) ??
      parts.find((one) => idOf(one).startsWith(reference));
    if (!part) return undefined;
    const full = await this.#engine(`${versionOf(context)}/networks/${part.Id}`, { method: "GET" });
    const { Containers } = full.ok ? await full.json() as LocalPart : part;
    return { ...networkResource(this.#network(part)), Containers: Containers ?? {} };
  }

  async #parts(context: Context): Promise<LocalPart[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [this.#label] }));
    const target = `${versionOf(context)}/networks?filters=${filters}`;
    const response = await this.#engine(target, { method: "GET" });
    if (response.ok) {
      return (await response.json() as LocalPart[]).filter(({ Labels }) => Labels?.[this.#label]);
    }
    await response.body?.cancel();
    return [];
  }

  /** As far as the engine knows it. */
  #network({ Name, Created, Internal, Labels, Options, IPAM }: LocalPart): Network {
    const vni = /\d+$/.exec(Options?.[BRIDGE_NAME] ?? "")?.[0];
    const created = Created ?? "";
    return {
      ID: Labels?.[this.#label] ?? "",
      Version: { Index: 0 },
      CreatedAt: created,
      UpdatedAt: created,
      Spec: {
        Name,
        Labels: {},
        Driver: { Name: "overlay" },
        Internal: Internal ?? false,
        Ingress: Name === INGRESS,
      },
      DriverState: {
        Name: "overlay",
        Options: vni === undefined ? {} : { [OPTION.vni]: vni },
      },
      // The gateway that the engine knows is this node's own.
      IPAMOptions: {
        Config: (IPAM?.Config ?? []).map(({ Subnet }) => (Subnet ? { Subnet } : {})),
      },
    };
  }
}

function versionOf(context: Context): string {
  return /^\/v\d+\.\d+/.exec(targetOf(context))?.[0] ?? "";
}
