import type { Network } from "../../model/network.ts";
import { labelMatches, passes } from "./query.ts";

/** What `GET /networks` can be filtered by. */
export const NETWORK_FILTERS = ["dangling", "driver", "id", "label", "name", "scope", "type"];

const isTrue = (value: string) => /^(1|true)$/i.test(value);

/** Whether a network of the cluster passes the filters, as Docker's do; `used` is for `dangling`. */
export function passesFilters(
  network: Network,
  filters: ReadonlyMap<string, readonly string[]>,
  used: (network: Network) => boolean,
): boolean {
  return passes(network, filters, {
    dangling: (n, value) => isTrue(value) !== used(n),
    driver: (_, value) => value === "overlay",
    id: (n, value) => n.ID.includes(value),
    label: (n, value) => labelMatches(n.Spec.Labels, value),
    name: (n, value) => (n.Spec.Name ?? "").includes(value),
    scope: (_, value) => value === "swarm",
    type: (_, value) => value === "custom",
  });
}
