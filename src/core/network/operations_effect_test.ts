import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { macOf } from "../../model/network.ts";
import { desiredState } from "./desired.ts";
import type { DesiredNetwork, DesiredState } from "./desired.ts";
import type { EngineNetwork, Link, ObservedState } from "./observed.ts";
import { describeOperation, planOperations } from "./operations.ts";
import type { Operation } from "./operations.ts";
import type { Picture } from "./picture.ts";

/** A machine that does operations as the engine and the kernel do them, and refuses what they refuse. */
class Machine {
  readonly engineNetworks: EngineNetwork[] = [];
  readonly links = new Map<string, Link>();
  readonly addresses = new Map<string, string[]>();
  readonly neighbours = new Map<string, Map<string, string>>();
  readonly forwarding = new Map<string, Map<string, string[]>>();
  #next = 0;

  observed(): ObservedState {
    const { engineNetworks, links, addresses, neighbours, forwarding } = structuredClone({
      engineNetworks: this.engineNetworks,
      links: this.links,
      addresses: this.addresses,
      neighbours: this.neighbours,
      forwarding: this.forwarding,
    });
    return {
      ...{ engineNetworks, links, addresses, neighbours, forwarding },
      ...{ foreignNames: new Set<string>(), foreignVxlans: [], ruleset: "" },
    };
  }

  perform(operation: Operation): void {
    switch (operation.op) {
      case "create-engine-network": {
        const { id, name, bridge, subnet, gateway } = operation.spec;
        ok(!this.engineNetworks.some((other) => other.name === name), `two networks ${name}`);
        this.#addBridge(operation.spec, [`${gateway}/${subnet.split("/")[1]}`]);
        this.engineNetworks.push({
          ...{ engineId: `e${++this.#next}`, name, id, bridge, subnet, gateway },
        });
        return;
      }
      case "restore-bridge":
        return this.#addBridge(operation.spec, []);
      case "remove-engine-network": {
        const at = this.engineNetworks.findIndex(({ engineId }) => engineId === operation.engineId);
        ok(at >= 0, describeOperation(operation));
        const [gone] = this.engineNetworks.splice(at, 1);
        this.removeLink(gone!.bridge);
        return;
      }
      case "add-vxlan": {
        const { vxlan: name, bridge: master, mtu, vni, port, local } = operation.spec;
        ok(!this.links.has(name) && this.links.has(master), describeOperation(operation));
        const vxlan = { vni, port, local, learning: false, proxy: true };
        this.links.set(name, { name, mac: "", mtu, up: true, master, vxlan });
        return;
      }
      case "remove-link":
        return this.removeLink(operation.device);
      case "set-link": {
        const { device, mac, mtu, master, up } = operation;
        const link = this.#link(device, operation);
        this.links.set(device, {
          ...link,
          mac: mac ?? link.mac,
          mtu: mtu ?? link.mtu,
          master: master ?? link.master,
          up: up ?? link.up,
        });
        return;
      }
      case "add-address":
      case "remove-address": {
        this.#link(operation.device, operation);
        const had = this.addresses.get(operation.device) ?? [];
        const others = had.filter((address) => address !== operation.address);
        const added = operation.op === "add-address" ? [operation.address] : [];
        this.addresses.set(operation.device, [...others, ...added]);
        return;
      }
      case "set-neighbour":
      case "remove-neighbour": {
        this.#link(operation.device, operation);
        const of = this.neighbours.get(operation.device) ?? new Map<string, string>();
        if (operation.op === "set-neighbour") of.set(operation.address, operation.mac);
        else ok(of.delete(operation.address), describeOperation(operation));
        this.neighbours.set(operation.device, of);
        return;
      }
      case "add-forwarding":
      case "remove-forwarding": {
        this.#link(operation.device, operation);
        const of = this.forwarding.get(operation.device) ?? new Map<string, string[]>();
        const others = (of.get(operation.mac) ?? []).filter((vtep) => vtep !== operation.vtep);
        if (operation.op === "add-forwarding") others.push(operation.vtep);
        of.set(operation.mac, others);
        if (others.length === 0) of.delete(operation.mac);
        this.forwarding.set(operation.device, of);
        return;
      }
    }
  }

  removeLink(device: string): void {
    this.links.delete(device);
    for (const table of [this.addresses, this.neighbours, this.forwarding]) table.delete(device);
    for (const [name, link] of this.links) {
      if (link.master === device) this.links.set(name, { ...link, master: undefined });
    }
  }

  #addBridge({ bridge: name, mtu }: DesiredNetwork, addresses: string[]): void {
    ok(!this.links.has(name), `${name} is there already`);
    this.links.set(name, { name, mac: "02:00:00:00:00:99", mtu, up: true, master: undefined });
    this.addresses.set(name, addresses);
  }

  #link(device: string, operation: Operation): Link {
    const link = this.links.get(device);
    ok(link, `${describeOperation(operation)}: there is no such device`);
    return link;
  }
}

/** What one of the networks is like; what differs between two of them has to be brought about. */
const Shape = fc.record({
  gateway: fc.constantFrom(2, 3),
  port: fc.constantFrom(4789, 7789),
  mtu: fc.constantFrom(undefined, 1300),
  name: fc.constantFrom("a", "b"),
  vip: fc.boolean(),
  tasks: fc.array(fc.record({ node: fc.integer({ min: 1, max: 3 }), moved: fc.boolean() }), {
    maxLength: 4,
  }),
});
type Shape = typeof Shape extends fc.Arbitrary<infer T> ? T : never;

function stateOf(shapes: readonly (Shape | null)[]): DesiredState {
  const networks = new Map();
  const endpoints = new Map();
  const services = new Map();
  for (const [i, shape] of shapes.entries()) {
    if (!shape) continue;
    networks.set(`net${i}`, {
      name: `${shape.name}${i}`,
      vni: 4096 + i,
      port: shape.port,
      subnet: `10.0.${i}.0/24`,
      gateway: `10.0.${i}.${shape.gateway}`,
      internal: false,
      ...(shape.mtu === undefined ? {} : { mtu: shape.mtu }),
      peers: [2, 3].map((n) => ({
        nodeId: `n${n}`,
        addr: `192.168.1.${n}`,
        gateway: `10.0.${i}.${10 + n}`,
      })),
    });
    for (const [at, { node, moved }] of shape.tasks.entries()) {
      endpoints.set(`t${i}-${at}`, {
        nodeId: `n${node}`,
        names: [],
        addresses: [{ networkId: `net${i}`, address: `10.0.${i}.${(moved ? 30 : 20) + at}` }],
        serving: true,
      });
    }
    const vip = { networkId: `net${i}`, aliases: [], vip: `10.0.${i}.99` };
    if (shape.vip) services.set(`s${i}`, { name: `s${i}`, networks: [vip] });
  }
  const picture: Picture = { networks, endpoints, services };
  const facts = { nodeId: "n1", dataPathAddr: "192.168.1.1", dataPathMtu: 1500, apiPort: 2377 };
  return desiredState(picture, facts);
}

/** What somebody does to the machine by hand. */
const DAMAGE: readonly ((machine: Machine, device: string) => void)[] = [
  (machine, device) => machine.removeLink(device),
  (machine, device) => machine.addresses.delete(device),
  (machine, device) => machine.addresses.get(device)?.push("192.0.2.1/24"),
  (machine, device) => machine.neighbours.delete(device),
  (machine, device) => machine.neighbours.get(device)?.set("10.0.0.77", "02:00:00:00:00:77"),
  (machine, device) => machine.forwarding.delete(device),
  (machine, device) => machine.forwarding.get(device)?.set("02:00:00:00:00:77", ["192.0.2.7"]),
  (machine, device) => {
    for (const vteps of machine.forwarding.get(device)?.values() ?? []) vteps.push("192.0.2.8");
  },
  (machine) => machine.engineNetworks.pop(),
  ...([{ up: false }, { mtu: 1000 }, { mac: "02:00:00:00:00:66" }, { master: undefined }] as const)
    .map((change) => (machine: Machine, device: string) => {
      const link = machine.links.get(device);
      if (link) machine.links.set(device, { ...link, ...change });
    }),
];

/** Does what is to do, and everything is as it shall be. */
function converge(machine: Machine, desired: DesiredState): void {
  for (const operation of planOperations(desired, machine.observed()).operations) {
    machine.perform(operation);
  }
  deepStrictEqual(
    planOperations(desired, machine.observed()).operations.map(describeOperation),
    [],
  );
  const names = desired.networks.flatMap(({ bridge, vxlan }) => [bridge, vxlan]);
  deepStrictEqual([...machine.links.keys()].sort(), names.sort());
  for (const network of desired.networks) {
    const { bridge, vxlan, gateway, vips, remotes, mtu, local, port } = network;
    deepStrictEqual(
      [...machine.addresses.get(bridge) ?? []].sort(),
      [`${gateway}/24`, ...vips.map((vip) => `${vip}/32`)].sort(),
    );
    const own = machine.links.get(bridge);
    deepStrictEqual([own?.mac, own?.mtu, own?.up], [macOf(gateway), mtu, true]);
    const link = machine.links.get(vxlan);
    deepStrictEqual(
      [link?.master, link?.mtu, link?.up, link?.vxlan?.port, link?.vxlan?.local],
      [bridge, mtu, true, port, local],
    );
    const entries = <T>(map: ReadonlyMap<string, T> | undefined) => Object.fromEntries(map ?? []);
    deepStrictEqual(
      entries(machine.neighbours.get(vxlan)),
      Object.fromEntries(remotes.map(({ address, mac }) => [address, mac])),
    );
    deepStrictEqual(
      entries(machine.forwarding.get(vxlan)),
      Object.fromEntries(remotes.map(({ mac, vtep }) => [mac, [vtep]])),
    );
  }
}

Deno.test("network operations: from any state and after any damage, one pass brings what shall be", () => {
  const shapes = fc.array(fc.option(Shape), { minLength: 3, maxLength: 3 });
  const damage = fc.array(fc.record({ what: fc.nat(), where: fc.nat() }), { maxLength: 6 });
  fc.assert(
    fc.property(shapes, damage, shapes, (before, harm, now) => {
      const machine = new Machine();
      converge(machine, stateOf(before));
      for (const { what, where } of harm) {
        const devices = [...machine.links.keys()];
        if (devices.length === 0) break;
        DAMAGE[what % DAMAGE.length]!(machine, devices[where % devices.length]!);
      }
      converge(machine, stateOf(now));
    }),
    { numRuns: 500 },
  );
});
