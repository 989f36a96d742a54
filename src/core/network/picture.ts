import type {
  Assignments,
  EndpointAssignment,
  NetworkAssignment,
  ServiceAssignment,
} from "../../model/session.ts";

/** What the managers told this node of overlay networks, as plain maps by id. */
export interface Picture {
  readonly networks: ReadonlyMap<string, NetworkAssignment>;
  readonly endpoints: ReadonlyMap<string, EndpointAssignment>;
  readonly services: ReadonlyMap<string, ServiceAssignment>;
}

export const EMPTY_PICTURE: Picture = {
  networks: new Map(),
  endpoints: new Map(),
  services: new Map(),
};

/** The picture after a set or a difference; the same object when nothing of networks was in it. */
export function applyToPicture(before: Picture, assignments: Assignments): Picture {
  const { kind, update, remove } = assignments;
  const about = (item: { readonly kind: string }) =>
    item.kind === "network" || item.kind === "endpoint" || item.kind === "service";
  if (kind === "incremental" && !update.some(about) && !remove.some(about)) return before;
  const start = kind === "complete" ? EMPTY_PICTURE : before;
  const networks = new Map(start.networks);
  const endpoints = new Map(start.endpoints);
  const services = new Map(start.services);
  for (const item of update) {
    if (item.kind === "network") networks.set(item.id, item.network);
    else if (item.kind === "endpoint") endpoints.set(item.id, item.endpoint);
    else if (item.kind === "service") services.set(item.id, item.service);
  }
  for (const { kind: what, id } of remove) {
    if (what === "network") networks.delete(id);
    else if (what === "endpoint") endpoints.delete(id);
    else if (what === "service") services.delete(id);
  }
  return { networks, endpoints, services };
}
