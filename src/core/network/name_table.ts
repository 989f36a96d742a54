import type { EndpointAssignment } from "../../model/session.ts";
import type { EndpointNames, NameTable, ServiceNames } from "./names.ts";
import type { Picture } from "./picture.ts";

/** Who is called what on the networks that this node has an address on. */
export function nameTable(picture: Picture): NameTable {
  const networks = [...picture.networks].filter(([, { gateway }]) => gateway !== undefined);
  return {
    networks: networks.sort(([, a], [, b]) => a.name < b.name ? -1 : 1).map((
      [id, { name, subnet, ingress, internal }],
    ) => ({
      id,
      name,
      subnets: [subnet],
      ...(internal ? { internal } : {}),
      // Strangers meet on the mesh's network: nobody is found there by name.
      services: ingress ? [] : servicesOn(picture, id),
      endpoints: ingress ? [] : endpointsOn(picture, id),
    })),
  };
}

function servicesOn({ services }: Picture, networkId: string): ServiceNames[] {
  const found: ServiceNames[] = [];
  for (const { name, networks } of services.values()) {
    for (const network of networks) {
      if (network.networkId !== networkId) continue;
      const vips = network.vip === undefined ? [] : [network.vip];
      found.push({ name, aliases: network.aliases, vips });
    }
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}

function endpointsOn({ networks, endpoints }: Picture, networkId: string): EndpointNames[] {
  const found: EndpointNames[] = [];
  const open = new Set<string>();
  for (const [id, endpoint] of endpoints) {
    // Of networks that this node has not, nothing is known: its own containers are on none of them.
    const confined = endpoint.addresses.every((on) => networks.get(on.networkId)?.internal);
    if (!confined) open.add(ownerOf(id, endpoint));
  }
  for (const [id, endpoint] of endpoints) {
    const addresses = endpoint.addresses.filter((on) => on.networkId === networkId)
      .map(({ address }) => address);
    if (addresses.length === 0) continue;
    const owner = ownerOf(id, endpoint);
    found.push({
      owner,
      ...(endpoint.service === undefined ? {} : { service: endpoint.service }),
      names: endpoint.names,
      addresses,
      serving: endpoint.serving,
      ...(open.has(owner) ? {} : { confined: true }),
      ...(endpoint.nameservers ? { nameservers: endpoint.nameservers } : {}),
    });
  }
  return found.sort((a, b) => a.owner < b.owner ? -1 : 1);
}

/** A task has one endpoint for all of its networks, a container outside services one for each. */
function ownerOf(id: string, { nodeId, container }: EndpointAssignment): string {
  return container === undefined ? id : `${nodeId} ${container}`;
}
