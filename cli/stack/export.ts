import { FleetError } from "../../src/base/errors.ts";
import { configText } from "../../src/core/stack/config_text.ts";
import { exportStack } from "../../src/core/stack/export.ts";
import { STACK_LABEL } from "../../src/core/stack/naming.ts";
import type { NetworkEntry } from "../../src/core/stack/stack_file.ts";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import type { ApiConfig, ApiService } from "../api_types.ts";
import type { FullNetwork } from "../import/plan.ts";
import { filtersText } from "../query.ts";
import type { Verb } from "../verb.ts";
import { stackFilter } from "./observe.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<stack>", "Name").examples("fleet stack export shop > shop.yaml");
  },
  async run({ client, env, warn }, [stack = ""]) {
    const query = { filters: filtersText([], stackFilter(stack)) };
    const [services, networks, configs] = await Promise.all([
      client.get<ApiService[]>("/services", { query }),
      client.get<FullNetwork[]>("/networks"),
      client.get<ApiConfig[]>("/configs", { query }),
    ]);
    if (services.length === 0) {
      throw new FleetError("not-found", `nothing found in stack: ${stack}`);
    }
    const names = new Map(networks.map(({ Id, Name }) => [Id, Name]));
    const file = exportStack(stack, {
      services: services.map(({ Spec }) => withNames(Spec, names))
        .sort((a, b) => (a.Name ?? "") < (b.Name ?? "") ? -1 : 1),
      networks: Object.fromEntries(
        networks.map((network) => [network.Name, networkEntry(stack, network)]),
      ),
      configs: Object.fromEntries(configs.flatMap(({ Spec }) => {
        const text = textOf(Spec.Data ?? "");
        return text === undefined || Spec.Templating ? [] : [[Spec.Name ?? "", text]];
      })),
    });
    if (Object.keys(file.secrets).length > 0) {
      const list = Object.values(file.secrets).map(({ name }) => name).join(", ");
      warn(`Secrets tell nobody their data: the file needs them to be there (${list})`);
    }
    env.stdout.write(configText(file));
  },
};

function withNames(spec: ServiceSpec, names: ReadonlyMap<string, string>): ServiceSpec {
  const networks = spec.TaskTemplate?.Networks?.map((use) => ({
    ...use,
    Target: names.get(use.Target ?? "") ?? use.Target ?? "",
  }));
  return networks ? { ...spec, TaskTemplate: { ...spec.TaskTemplate, Networks: networks } } : spec;
}

function networkEntry(stack: string, network: FullNetwork): NetworkEntry {
  const { [STACK_LABEL]: owner, ...labels } = network.Labels ?? {};
  if (owner !== stack) return { external: true };
  const options = Object.entries(network.Options ?? {})
    .filter(([key]) => key !== "com.docker.network.driver.overlay.vxlanid_list");
  return {
    ...(network.Driver && network.Driver !== "overlay" ? { driver: network.Driver } : {}),
    ...(network.Internal ? { internal: true } : {}),
    ...(network.Attachable ? { attachable: true } : {}),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(options.length > 0 ? { driver_opts: Object.fromEntries(options) } : {}),
  };
}

/** The data as a text, or undefined where it is none. */
function textOf(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
