import type { ApiNetwork } from "../api_types.ts";
import { addListFlags } from "../list_flags.ts";
import type { ListFlags } from "../list_flags.ts";
import { filtersText } from "../query.ts";
import { renderList } from "../render/list.ts";
import type { ListShape } from "../render/list.ts";
import { naturalCompare } from "../render/natural_sort.ts";
import { labelsText, shortId } from "../render/text.ts";
import type { Verb } from "../verb.ts";

const NETWORK_LIST: ListShape = {
  headers: {
    ID: "NETWORK ID",
    Name: "NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    IPv4: "IPV4",
    IPv6: "IPV6",
    Internal: "INTERNAL",
    Labels: "LABELS",
    CreatedAt: "CREATED AT",
  },
  columns: ["ID", "Name", "Driver", "Scope"],
};

interface Flags extends ListFlags {
  readonly noTrunc?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    addListFlags(command).flag("--no-trunc", "Show ids in full")
      .examples("fleet network ls --filter driver=overlay");
  },
  async run({ client, env }, _args, flags) {
    const networks = await client.get<ApiNetwork[]>("/networks", {
      query: { filters: filtersText(flags.filter) },
    });
    env.stdout.write(renderNetworks(networks, flags));
  },
};

/** The list in the asked form, by name. */
export function renderNetworks(networks: readonly ApiNetwork[], flags: Flags): string {
  const rows = [...networks].sort((a, b) => naturalCompare(a.Name, b.Name)).map((network) => ({
    ID: flags.noTrunc ? network.Id : shortId(network.Id),
    Name: network.Name,
    Driver: network.Driver ?? "",
    Scope: network.Scope ?? "",
    IPv4: String(network.EnableIPv4 ?? true),
    IPv6: String(network.EnableIPv6 ?? false),
    Internal: String(network.Internal ?? false),
    Labels: labelsText(network.Labels ?? {}),
    CreatedAt: network.Created ?? "",
    Label: (key: unknown) => network.Labels?.[String(key)] ?? "",
  }));
  return renderList(NETWORK_LIST, rows, flags);
}
