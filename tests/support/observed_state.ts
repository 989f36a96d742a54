import type { ObservedState } from "../../src/core/network/observed.ts";

/** A machine that has nothing of overlay networks. */
export const NOTHING_OBSERVED: ObservedState = {
  engineNetworks: [],
  foreignNames: new Set(),
  links: new Map(),
  foreignVxlans: [],
  addresses: new Map(),
  neighbours: new Map(),
  forwarding: new Map(),
  ruleset: "",
};
