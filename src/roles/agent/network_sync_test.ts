import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import type { Logger } from "../../base/log.ts";
import { silentLogger } from "../../base/log.ts";
import type { IpvsService } from "../../core/network/ipvs.ts";
import type { ObservedState } from "../../core/network/observed.ts";
import { assume } from "../../core/network/operations.ts";
import type { Operation } from "../../core/network/operations.ts";
import type { NameTable } from "../../core/network/names.ts";
import { relayedKey } from "../../core/network/relayed_ports.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";
import { desiredState } from "../../core/network/desired.ts";
import { applyToPicture, EMPTY_PICTURE } from "../../core/network/picture.ts";
import type { Assignments } from "../../model/session.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { NetworkSync } from "./network_sync.ts";
import { NOTHING_OBSERVED } from "../../../tests/support/observed_state.ts";

const FACTS = { nodeId: "n1", dataPathAddr: "192.168.1.1", dataPathMtu: 1500, apiPort: 2377 };
const ASSIGNED: Assignments = {
  kind: "complete",
  appliesTo: 0,
  resultsIn: 1,
  remove: [],
  update: [{
    kind: "network",
    id: "net",
    network: {
      name: "back",
      vni: 4096,
      port: 4789,
      subnet: "10.0.0.0/24",
      gateway: "10.0.0.2",
      internal: false,
      peers: [],
    },
  }],
};

/** A machine that does everything at once, and as often as it is told that it cannot. */
function setUp(options: { failures?: number; foreign?: boolean } = {}) {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, log: (_level, message) => warnings.push(message) };
  let failures = options.failures ?? 0;
  let state: ObservedState = options.foreign
    ? { ...NOTHING_OBSERVED, foreignNames: new Set(["back"]) }
    : NOTHING_OBSERVED;
  const done: Operation[][] = [];
  const forgotten: string[] = [];
  const host = {
    state: () => state,
    change: (next: ObservedState) => void (state = next),
    observe: () => Promise.resolve(state),
    execute: (operations: readonly Operation[]) => {
      done.push([...operations]);
      if (failures-- > 0) {
        return Promise.resolve(operations.map((operation) => ({ operation, reason: "busy" })));
      }
      const desired = desiredState(applyToPicture(EMPTY_PICTURE, ASSIGNED), FACTS);
      state = assume(desired, state);
      return Promise.resolve([]);
    },
    patchRuleset: () => Promise.resolve(),
    applyRuleset: (script: string) => {
      state = { ...state, ruleset: script };
      return Promise.resolve(script);
    },
    shortenMemory: () => Promise.resolve(true),
    forget: (addresses: readonly string[]) => {
      forgotten.push(...addresses);
      return Promise.resolve();
    },
    unanswered: () => Promise.resolve(["10.0.0.7", "172.17.0.2"]),
    portUsers: () => Promise.resolve(new Map<string, string>()),
    applyEncryption: () => Promise.resolve(0),
    applyIpvs: (services: readonly IpvsService[]) => {
      state = { ...state, ipvs: services };
      return Promise.resolve();
    },
    dataPathMtu: () => Promise.resolve(1500),
    openMesh: () => Promise.resolve(),
  };
  let table: () => NameTable = () => ({ networks: [] });
  const relayed = new Map<string, readonly string[]>();
  const names = {
    setTable: (next: () => NameTable) => void (table = next),
    listenOn: () => Promise.resolve([]),
  };
  const relay = (protocol: string) => ({
    serve: (ports: readonly RelayedPort[]) => {
      relayed.set(protocol, ports.map(relayedKey));
      return new Map<string, string>();
    },
  });
  const sync = new NetworkSync({
    nodeId: "n1",
    dataPathAddr: FACTS.dataPathAddr,
    apiPort: 2377,
    host,
    names,
    relays: { tcp: relay("tcp"), udp: relay("udp"), sctp: relay("sctp") },
    clock,
    logger,
  });
  const stop = new AbortController();
  const running = sync.run(stop.signal);
  return {
    sync,
    clock,
    host,
    done,
    forgotten,
    relayed,
    warnings,
    names: () => table(),
    end: async () => {
      stop.abort();
      await running;
    },
  };
}

Deno.test("network sync: a name that ended is gone at once, whatever the engine or the kernel is busy with", async () => {
  const { sync, clock, host, names, end } = setUp();
  const address = { networkId: "net", address: "10.0.0.9" };
  const endpoint = { nodeId: "n2", service: "web", names: ["web.1"], serving: true };
  sync.apply({
    ...ASSIGNED,
    update: [...ASSIGNED.update, {
      kind: "endpoint",
      id: "t1",
      endpoint: { ...endpoint, addresses: [address] },
    }],
  });
  await clock.settle();
  const told = () => names().networks.flatMap(({ endpoints }) => endpoints.map((e) => e.owner));
  deepStrictEqual(told(), ["t1"]);
  const { promise: busy, resolve: go } = Promise.withResolvers<void>();
  const observe = host.observe;
  host.observe = () => busy.then(observe);
  await clock.advance(10_000);
  sync.apply({
    kind: "incremental",
    appliesTo: 1,
    resultsIn: 2,
    update: [],
    remove: [{ kind: "endpoint", id: "t1" }],
  });
  deepStrictEqual(told(), []);
  go();
  await end();
});

Deno.test("network sync: touches nothing before it was told, then makes what is missing once", async () => {
  const { sync, clock, done, end } = setUp();
  await clock.advance(60_000);
  deepStrictEqual(done, []);
  sync.apply(ASSIGNED);
  await clock.settle();
  strictEqual(await sync.ready("net", "back", new AbortController().signal), "10.0.0.2");
  await clock.advance(60_000);
  strictEqual(done.length, 1);
  strictEqual(sync.state().drift, 0);
  await end();
});

Deno.test("network sync: a task waits for what passes, and is told at once what does not", async () => {
  const passing = setUp({ failures: 2 });
  passing.sync.apply(ASSIGNED);
  await passing.clock.settle();
  const waiting = passing.sync.ready("net", "back", new AbortController().signal);
  await passing.clock.advance(5_000);
  strictEqual(await waiting, "10.0.0.2");
  await passing.end();

  const lasting = setUp({ foreign: true });
  lasting.sync.apply(ASSIGNED);
  await lasting.clock.settle();
  await rejects(
    lasting.sync.ready("net", "back", new AbortController().signal),
    /the engine has a local network of that name/,
  );
  await lasting.end();
});

Deno.test("network sync: a task never gets the place of before when the node's address has changed", async () => {
  const { sync, clock, end } = setUp();
  sync.apply(ASSIGNED);
  await clock.settle();
  const [item] = ASSIGNED.update;
  if (item?.kind !== "network") throw new Error("the assignment is a network");
  const network = { ...item.network, gateway: "10.0.0.5" };
  sync.apply({ ...ASSIGNED, kind: "incremental", update: [{ ...item, network }] });
  const waiting = sync.ready("net", "back", new AbortController().signal);
  await clock.settle();
  strictEqual(await waiting, "10.0.0.5");
  await end();
});

Deno.test("network sync: nor one that is just going, though the next has the same address", async () => {
  const { sync, clock, host, end } = setUp();
  sync.apply(ASSIGNED);
  await clock.settle();
  const { promise: going, resolve: go } = Promise.withResolvers<void>();
  const execute = host.execute;
  host.execute = (operations) => going.then(() => execute(operations));
  const remove = [{ kind: "network", id: "net" }] as const;
  sync.apply({ kind: "incremental", appliesTo: 1, resultsIn: 2, update: [], remove });
  await clock.settle();
  sync.apply({ ...ASSIGNED, kind: "incremental", appliesTo: 2, resultsIn: 3 });
  let isReady = false;
  const waiting = sync.ready("net", "back", new AbortController().signal)
    .then(() => isReady = true);
  await clock.settle();
  strictEqual(isReady, false);
  go();
  await clock.settle();
  await waiting;
  await end();
});

Deno.test("network sync: attempts at what lasts become rare", async () => {
  const { sync, clock, done, end } = setUp({ failures: 1_000 });
  sync.apply(ASSIGNED);
  await clock.advance(60_000);
  // 1, 2, 4, 8 s apart, then as often as the audit.
  strictEqual(done.length <= 10, true, `${done.length} attempts in a minute`);
  await end();
});

Deno.test("network sync: what somebody deleted comes back, and is counted", async () => {
  const { sync, clock, host, warnings, end } = setUp();
  sync.apply(ASSIGNED);
  await clock.advance(1_000);
  host.change({ ...host.state(), links: new Map() });
  await clock.advance(15_000);
  strictEqual(host.state().links.has("flx-4096"), true);
  strictEqual(sync.state().drift > 0, true);
  match(warnings.join(), /had been changed; repaired/);
  await end();
});

Deno.test("network sync: a network that goes while an audit is due is nobody's doing", async () => {
  const { sync, clock, host, done, end } = setUp();
  const { promise: made, resolve: go } = Promise.withResolvers<void>();
  const execute = host.execute;
  host.execute = async (operations) => {
    await made;
    const failures = await execute(operations);
    // The engine has an id of its own for it.
    const engineNetworks = host.state().engineNetworks.map((one) => ({ ...one, engineId: "e1" }));
    host.change({ ...host.state(), engineNetworks });
    return failures;
  };
  sync.apply(ASSIGNED);
  await clock.advance(11_000);
  const remove = [{ kind: "network", id: "net" }] as const;
  sync.apply({ kind: "incremental", appliesTo: 1, resultsIn: 2, update: [], remove });
  go();
  await clock.settle();
  strictEqual(done.at(-1)?.some(({ op }) => op === "remove-engine-network"), true);
  strictEqual(sync.state().drift, 0);
  await end();
});

Deno.test("network sync: a node that leaves keeps nothing", async () => {
  const { sync, host, done, clock, end } = setUp();
  sync.apply(ASSIGNED);
  await clock.settle();
  await end();
  strictEqual(host.state().engineNetworks.length, 1);
  await sync.removeAll(new AbortController().signal);
  deepStrictEqual(done.at(-1)?.map(({ op }) => op).sort(), [
    "remove-engine-network",
    "remove-link",
  ]);
});

Deno.test("network sync: what keeps a node from all of its networks is told to people and tasks", async () => {
  const { sync, clock, host, warnings, end } = setUp();
  host.observe = () => Promise.reject(new Error("the kernel has no IPVS"));
  sync.apply(ASSIGNED);
  await clock.advance(1_000);
  deepStrictEqual(sync.state().problems, { "this node": "the kernel has no IPVS" });
  const waiting = sync.ready("net", "back", new AbortController().signal);
  const refused = rejects(waiting, /network back: the kernel has no IPVS/);
  await clock.advance(60_000);
  await refused;
  strictEqual(warnings.length, 1, "however often it is tried");
  await end();
});

Deno.test("network sync: who waits for a task that went while no agent was here is let go, for a while", async () => {
  const { sync, clock, forgotten, end } = setUp();
  sync.apply(ASSIGNED);
  await clock.settle();
  // The other address is none of fleet's.
  deepStrictEqual(forgotten, ["10.0.0.7"]);
  await clock.advance(60_000);
  deepStrictEqual(forgotten, Array(7).fill("10.0.0.7"));
  await clock.advance(600_000);
  deepStrictEqual(forgotten.length, 13);
  await end();
});

/** The mesh's network, and services with a task each that publish these ports. */
function publishing(...services: { name: string; published: number; since: string }[]) {
  const [item] = ASSIGNED.update;
  if (item?.kind !== "network") throw new Error("the assignment is a network");
  return {
    ...ASSIGNED,
    update: [
      { ...item, network: { ...item.network, ingress: true as const } },
      ...services.flatMap(({ name, published, since }, i) => [{
        kind: "service" as const,
        id: `s${i}`,
        service: {
          name,
          networks: [],
          ports: [
            { protocol: "tcp" as const, published, target: 80 },
            { protocol: "udp" as const, published, target: 80 },
          ],
          since,
        },
      }, {
        kind: "endpoint" as const,
        id: `t${i}`,
        endpoint: {
          nodeId: "n2",
          serviceId: `s${i}`,
          names: [],
          addresses: [{ networkId: "net", address: `10.0.0.${20 + i}` }],
          serving: true,
        },
      }]),
    ],
  };
}

Deno.test("network sync: port 53 stays with the name server, and what is not answered for it is named", async () => {
  const { sync, clock, relayed, end } = setUp();
  sync.apply(publishing({ name: "pihole", published: 53, since: "1" }, {
    name: "web",
    published: 8080,
    since: "2",
  }));
  await clock.settle();
  deepStrictEqual([...relayed], [
    ["tcp", ["tcp/8080"]],
    // Nobody listens there for datagrams over IPv6.
    ["udp", ["udp/53", "udp/8080"]],
    ["sctp", []],
  ]);
  match(
    sync.state().problems["tcp/53"]!,
    /^port 53\/tcp of service pihole is not answered over IPv6 on this node: the name server/,
  );
  await end();
});

Deno.test("network sync: of two services with one port the younger one is named", async () => {
  const { sync, clock, end } = setUp();
  sync.apply(publishing({ name: "young", published: 8080, since: "2" }, {
    name: "old",
    published: 8080,
    since: "1",
  }));
  await clock.settle();
  deepStrictEqual(Object.keys(sync.state().problems), ["tcp/8080 of young", "udp/8080 of young"]);
  // Its network is there; whoever waits for it does not learn of others' ports.
  strictEqual(await sync.ready("net", "back", new AbortController().signal, "s1"), "10.0.0.2");
  await end();
});
