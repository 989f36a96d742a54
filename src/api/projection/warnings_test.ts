import assert from "node:assert/strict";
import { MemoryStore } from "../../core/store/memory_store.ts";
import { Transaction } from "../../core/store/transaction.ts";
import { infoWithWarnings } from "../routes/system.ts";
import { clusterWarnings } from "./warnings.ts";

const NOW = Date.UTC(2026, 0, 1);

function storeWith(write: (tx: Transaction) => void): MemoryStore {
  const store = new MemoryStore();
  apply(store, write);
  return store;
}
function apply(store: MemoryStore, write: (tx: Transaction) => void): void {
  const tx = new Transaction(store, NOW);
  write(tx);
  store.apply(store.index + 1, tx.changes());
}

/** A network of `2^(32-bits)` addresses. */
function network(tx: Transaction, name: string, bits = 24): void {
  tx.create("network", {
    ID: name,
    Spec: { Name: name, Labels: {}, Driver: { Name: "overlay" } },
    IPAMOptions: { Config: [{ Subnet: `10.0.0.0/${bits}`, Gateway: "10.0.0.1" }] },
    VNI: 4096,
  });
}

/** Services whose virtual addresses in `net` are from 10.0.0.2 on. */
function fill(tx: Transaction, net: string, from: number, count: number): void {
  for (let n = from; n < from + count; n++) {
    tx.create("service", {
      ID: `${net}${n}`,
      Spec: { Name: `${net}${n}`, TaskTemplate: { Networks: [{ Target: net }] } },
      Endpoint: {
        Spec: { Mode: "vip" },
        Ports: [],
        VirtualIPs: [{ NetworkID: net, Addr: `10.0.0.${n + 2}/28` }],
      },
    });
  }
}

Deno.test("an even number of managers is told, an odd one is not", () => {
  const store = new MemoryStore();
  const of = (voters: number) => clusterWarnings().sentences(store, voters, voters, NOW);
  assert.deepEqual([0, 1, 3, 5].flatMap(of), []);
  assert.deepEqual([2, 4].flatMap(of), [
    "2 managers, 2 reachable: does not survive the loss of one; " +
    "an even number is no safer than 1, add or remove one",
    "4 managers, 4 reachable: survives the loss of 1; " +
    "an even number is no safer than 3, add or remove one",
  ]);
});

Deno.test("networks that are nearly full are told, counted again after a while", () => {
  const store = storeWith((tx) => {
    network(tx, "back", 28);
    fill(tx, "back", 0, 8);
  });
  const warnings = clusterWarnings();
  const at = (ms: number) => warnings.sentences(store, 1, 1, NOW + ms);
  assert.deepEqual(at(0), []);
  apply(store, (tx) => fill(tx, "back", 8, 3));
  assert.deepEqual(at(9_999), []);
  assert.equal(at(10_000).length, 1);
  assert.match(
    at(10_000)[0]!,
    /^network back is running out of addresses: 1[12] of 1[34] are given out$/,
  );
});

Deno.test("nodes' certificates are among the warnings", () => {
  const store = storeWith((tx) =>
    tx.create("node", {
      ID: "n1",
      Spec: { Name: "h1", Role: "worker", Availability: "active" },
      Role: "worker",
      Status: { State: "ready" },
      CertificateExpiry: new Date(NOW - 1_000).toISOString(),
    })
  );
  const [sentence, ...more] = clusterWarnings().sentences(store, 1, 1, NOW);
  assert.match(sentence!, /h1.*certificate|certificate.*h1/);
  assert.deepEqual(more, []);
});

Deno.test("a certificate is overdue by its own life, not by what new ones would have", () => {
  const DAY = 86_400_000;
  const sentences = (beginMs: number | undefined, endMs: number) => {
    const store = storeWith((tx) => {
      tx.create("node", {
        ID: "n1",
        Spec: { Name: "h1", Role: "worker", Availability: "active" },
        Role: "worker",
        Status: { State: "ready" },
        ...(beginMs === undefined ? {} : { CertificateBegin: new Date(beginMs).toISOString() }),
        CertificateExpiry: new Date(endMs).toISOString(),
      });
      tx.create("cluster", {
        ID: "c1",
        Spec: { CAConfig: { NodeCertExpiry: 90 * DAY * 1e6 } },
      } as never);
    });
    return clusterWarnings().sentences(store, 1, 1, NOW).filter((text) => /certificate/.test(text));
  };
  // The setting has just gone from a day to 90: these were issued under the old one.
  assert.deepEqual(sentences(NOW - DAY / 2, NOW + DAY / 2), []);
  assert.equal(sentences(NOW - 0.9 * DAY, NOW + 0.1 * DAY).length, 1);
  // From 45 to 72 days on a node renews: nothing is wrong until then.
  assert.deepEqual(sentences(NOW - 71 * DAY, NOW + 19 * DAY), []);
  assert.equal(sentences(NOW - 73 * DAY, NOW + 17 * DAY).length, 1);
  // Of what an older version issued only the end is known.
  assert.deepEqual(sentences(undefined, NOW + DAY / 2), []);
  assert.equal(sentences(undefined, NOW - 1).length, 1);
});

Deno.test("the engine's warnings come first, the cluster's as the stock client prints them", () => {
  const engines = { Name: "h1", Warnings: ["WARNING: No swap limit support"] };
  assert.deepEqual(infoWithWarnings(engines, { Warnings: ["2 managers"] })["Warnings"], [
    "WARNING: No swap limit support",
    "WARNING: 2 managers",
  ]);
  assert.deepEqual(infoWithWarnings({ Warnings: null }, { Warnings: ["a", "b"] })["Warnings"], [
    "WARNING: a",
    "WARNING: b",
  ]);
  assert.deepEqual(infoWithWarnings({ Warnings: null }, {}), { Warnings: null, Swarm: {} });
  assert.deepEqual(infoWithWarnings({ Name: "h1" }, {}), { Name: "h1", Swarm: {} });
});
