import assert from "node:assert/strict";
import { nameTable } from "./name_table.ts";
import { NameIndex, TASK_TTL, VIP_TTL } from "./names.ts";
import type { EndpointNames, NameTable } from "./names.ts";
import type { Picture } from "./picture.ts";

function task(
  owner: string,
  service: string,
  address: string,
  more: Partial<EndpointNames> = {},
): EndpointNames {
  return {
    owner,
    service,
    names: [`${service}.1.${owner}`, owner.slice(0, 4)],
    addresses: [address],
    serving: true,
    ...more,
  };
}

const TABLE: NameTable = {
  networks: [
    {
      id: "n1",
      name: "front",
      subnets: ["10.0.1.0/24", "fd00:1::/64"],
      services: [
        { name: "Web", aliases: ["www"], vips: ["10.0.1.2"] },
        { name: "api", aliases: ["www"], vips: ["10.0.1.3"] },
        { name: "flat", aliases: [], vips: [] },
      ],
      endpoints: [
        task("aaaa1", "Web", "10.0.1.10"),
        task("aaaa2", "Web", "10.0.1.11", { serving: false }),
        task("bbbb1", "flat", "10.0.1.12", { addresses: ["10.0.1.12", "fd00:1::c"] }),
        task("bbbb2", "flat", "10.0.1.13"),
        { owner: "cccc", names: ["box"], addresses: ["10.0.1.20"], serving: true },
        task("dddd", "own", "10.0.1.21", { nameservers: ["192.0.2.53"] }),
      ],
    },
    {
      id: "n2",
      name: "back.net",
      subnets: ["10.0.2.0/24"],
      services: [
        { name: "db", aliases: [], vips: ["10.0.2.2"] },
        { name: "Web", aliases: [], vips: ["10.0.2.3"] },
      ],
      endpoints: [
        task("aaaa1", "Web", "10.0.2.10"),
        task("eeee", "db", "10.0.2.11"),
      ],
    },
  ],
};

const index = new NameIndex(TABLE);
const [ON_BOTH, ON_FRONT, ON_BACK] = ["10.0.1.10", "10.0.1.20", "10.0.2.11"];
const a = (asker: string, name: string, type = "A") => index.answer(asker, { name, type });
const vip = (...addresses: string[]) => ({ kind: "addresses", addresses, ttl: VIP_TTL });
const tasks = (...addresses: string[]) => ({ kind: "addresses", addresses, ttl: TASK_TTL });

Deno.test("a service's name is its virtual address, in any case and with the root's dot", () => {
  for (const name of ["web", "WEB", "Web."]) assert.deepEqual(a(ON_FRONT, name), vip("10.0.1.2"));
});

Deno.test("an alias that several services share gives all of them", () => {
  assert.deepEqual(a(ON_FRONT, "www"), vip("10.0.1.2", "10.0.1.3"));
});

Deno.test("tasks.<service> and dnsrr list the serving tasks only", () => {
  assert.deepEqual(a(ON_FRONT, "tasks.web"), tasks("10.0.1.10"));
  assert.deepEqual(a(ON_FRONT, "tasks.www"), tasks("10.0.1.10"));
  assert.deepEqual(a(ON_FRONT, "flat"), tasks("10.0.1.12", "10.0.1.13"));
  assert.deepEqual(a(ON_FRONT, "flat", "AAAA"), tasks("fd00:1::c"));
});

Deno.test("a container's own names mean it alone, serving or not", () => {
  assert.deepEqual(a(ON_FRONT, "web.1.aaaa2"), tasks("10.0.1.11"));
  assert.deepEqual(a(ON_FRONT, "box"), tasks("10.0.1.20"));
});

Deno.test("a known name without a record of the type is empty, not absent", () => {
  assert.deepEqual(a(ON_FRONT, "web", "AAAA"), { kind: "empty" });
  assert.deepEqual(a(ON_FRONT, "web", "MX"), { kind: "empty" });
});

Deno.test("the first network that knows a name answers; a network's name picks another", () => {
  assert.deepEqual(a(ON_BOTH, "web"), vip("10.0.1.2"));
  assert.deepEqual(a(ON_BOTH, "web.back.net"), vip("10.0.2.3"));
  assert.deepEqual(a(ON_BOTH, "tasks.web.back.net"), tasks("10.0.2.10"));
  assert.deepEqual(a(ON_BOTH, "web.1.aaaa1.front"), tasks("10.0.1.10"));
});

Deno.test("a network one is not on does not exist, and its names do not leak to the world", () => {
  assert.deepEqual(a(ON_FRONT, "db"), { kind: "absent" });
  assert.deepEqual(a(ON_FRONT, "tasks.db"), { kind: "absent" });
  assert.deepEqual(a(ON_BACK, "box"), { kind: "absent" });
  assert.deepEqual(a("10.9.9.9", "web"), { kind: "absent" });
  // Somebody's network may be called "com": what is qualified can be a name of the internet.
  assert.deepEqual(a(ON_FRONT, "db.back.net"), { kind: "forward" });
});

Deno.test("what is not ours is forwarded, to the container's own servers where it names some", () => {
  assert.deepEqual(a(ON_FRONT, "example.com"), { kind: "forward" });
  assert.deepEqual(a(ON_FRONT, "nas"), { kind: "forward" });
  assert.deepEqual(a("10.0.1.21", "example.com"), {
    kind: "forward",
    nameservers: ["192.0.2.53"],
  });
});

Deno.test("who is on internal networks only gets no question out, whoever else is to answer it", () => {
  const network = (name: string, internal: boolean, subnet: string) => ({
    name,
    internal,
    subnet,
    gateway: "10.0.0.1",
  });
  const on = (...addresses: readonly [string, string][]) => ({
    nodeId: "n1",
    names: [],
    addresses: addresses.map(([networkId, address]) => ({ networkId, address })),
    serving: true,
    nameservers: ["192.0.2.53"],
  });
  const picture = {
    networks: new Map([
      ["in", network("in", true, "10.0.7.0/24")],
      ["out", network("out", false, "10.0.8.0/24")],
    ]),
    endpoints: new Map([
      ["confined", on(["in", "10.0.7.5"])],
      ["both", on(["in", "10.0.7.6"], ["out", "10.0.8.6"])],
      ["guest-in", { ...on(["in", "10.0.7.8"]), container: "guest" }],
      ["guest-out", { ...on(["out", "10.0.8.8"]), container: "guest" }],
      ["other", { ...on(["in", "10.0.7.9"]), container: "guest", nodeId: "n2" }],
      ["db", { ...on(["out", "10.0.8.9"]), names: ["db"] }],
    ]),
    services: new Map(),
  } as unknown as Picture;
  const told = new NameIndex(nameTable(picture));
  const ask = (asker: string, name: string, type = "A") => told.answer(asker, { name, type }).kind;
  assert.equal(ask("10.0.7.5", "secret.example.com"), "absent");
  assert.equal(ask("10.0.7.5", "8.8.8.8.in-addr.arpa", "PTR"), "absent");
  assert.equal(ask("10.0.7.99", "secret.example.com"), "absent", "an address that nobody gave");
  assert.equal(ask("10.0.7.6", "example.com"), "forward");
  assert.equal(ask("10.0.8.6", "example.com"), "forward");
  assert.equal(ask("10.0.8.99", "example.com"), "forward");
  // A container outside services has a place on each network, whichever it asks from.
  assert.equal(ask("10.0.7.8", "example.com"), "forward");
  assert.equal(ask("10.0.7.8", "db"), "addresses");
  assert.equal(ask("10.0.7.9", "example.com"), "absent", "of the same name on another node");
  assert.equal(ask("10.0.7.9", "db"), "absent");
});

Deno.test("reverse names: tasks and virtual addresses, denied elsewhere in our subnets", () => {
  assert.deepEqual(a(ON_FRONT, "10.1.0.10.in-addr.arpa", "PTR"), {
    kind: "names",
    names: ["Web.1.aaaa1.front"],
    ttl: TASK_TTL,
  });
  assert.deepEqual(a(ON_FRONT, "2.1.0.10.IN-ADDR.arpa", "PTR"), {
    kind: "names",
    names: ["Web.front"],
    ttl: TASK_TTL,
  });
  const v6 = "c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa";
  assert.deepEqual(a(ON_FRONT, v6, "PTR"), {
    kind: "names",
    names: ["flat.1.bbbb1.front"],
    ttl: TASK_TTL,
  });
  assert.deepEqual(a(ON_FRONT, "99.1.0.10.in-addr.arpa", "PTR"), { kind: "absent" });
  assert.deepEqual(a(ON_FRONT, "11.2.0.10.in-addr.arpa", "PTR"), { kind: "absent" });
  assert.deepEqual(a(ON_FRONT, "8.8.8.8.in-addr.arpa", "PTR"), { kind: "forward" });
});

Deno.test("the rules hold for names that are properties of every object", () => {
  for (const name of ["__proto__", "constructor", "toString"]) {
    assert.deepEqual(a(ON_FRONT, name), { kind: "forward" });
  }
});
