import { desiredState } from "../../src/core/network/desired.ts";
import type { DesiredState } from "../../src/core/network/desired.ts";
import type { EndpointAssignment, ServiceAssignment } from "../../src/model/session.ts";

export const SERVICES = 1_000;
export const TASKS = 10;

/** A thousand services of ten tasks; without the task that has number `without`. */
export function thousandServices(without?: number): DesiredState {
  const services = new Map<string, ServiceAssignment>();
  const endpoints = new Map<string, EndpointAssignment>();
  for (let s = 0; s < SERVICES; s++) {
    const ports = [{ protocol: "tcp" as const, published: 10_000 + s, target: 80 }];
    services.set(`s${s}`, { name: `s${s}`, networks: [], ports });
    for (let t = 0; t < TASKS; t++) {
      const n = s * TASKS + t;
      if (n === without) continue;
      const address = `10.0.${Math.floor(n / 200)}.${2 + (n % 200)}`;
      const addresses = [{ networkId: "net", address }];
      const task = { nodeId: `n${t}`, serviceId: `s${s}`, names: [], addresses, serving: true };
      endpoints.set(`t${n}`, task);
    }
  }
  const network = {
    name: "ingress",
    vni: 4096,
    port: 4789,
    subnet: "10.0.0.0/16",
    gateway: "10.0.255.1",
    internal: false,
    ingress: true as const,
    peers: [],
  };
  return desiredState({ networks: new Map([["net", network]]), endpoints, services }, {
    nodeId: "n0",
    dataPathAddr: "192.0.2.1",
    dataPathMtu: 1500,
    apiPort: 2377,
  });
}
