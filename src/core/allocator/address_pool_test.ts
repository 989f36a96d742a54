import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { AddressPool } from "./address_pool.ts";

const config = { Subnet: "10.0.0.0/29", Gateway: "10.0.0.1" };

Deno.test("address pool: gives out what is neither reserved nor taken, then nothing", () => {
  const pool = new AddressPool(config);
  strictEqual(pool.capacity, 5);
  const given = Array.from({ length: 5 }, (_, i) => pool.take(`t${i}`));
  deepStrictEqual(given, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  strictEqual(pool.take("one more"), undefined);
});

Deno.test("address pool: what was given back comes again last", () => {
  const pool = new AddressPool(config);
  pool.take("a");
  pool.take("b");
  pool.release("10.0.0.2", "a");
  deepStrictEqual([pool.take("c"), pool.take("d"), pool.take("e"), pool.take("f")], [
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.6",
    "10.0.0.2",
  ]);
});

Deno.test("address pool: one that comes back may have its address, and others go on in turn", () => {
  const pool = new AddressPool(config);
  pool.take("a");
  pool.take("b");
  pool.release("10.0.0.2", "a");
  strictEqual(pool.takeAgain("10.0.0.3", "a"), undefined);
  strictEqual(pool.takeAgain("10.0.0.2", "a"), "10.0.0.2");
  strictEqual(pool.takeAgain("10.0.0.2", "c"), undefined);
  strictEqual(pool.take("c"), "10.0.0.4");
});

Deno.test("address pool: what is taken outside of the range, or is nobody's to take, leaves as much free", () => {
  const pool = new AddressPool({ Subnet: "10.0.0.0/24", IPRange: "10.0.0.0/30" });
  strictEqual(pool.free, 3);
  pool.claim("10.0.0.7", "a");
  pool.claim("10.0.0.0", "b");
  strictEqual(pool.free, 3);
  pool.claim("10.0.0.1", "c");
  pool.claim("10.0.0.1", "d");
  strictEqual(pool.free, 2);
  pool.release("10.0.0.1", "c");
  strictEqual(pool.free, 2);
  pool.release("10.0.0.1", "d");
  pool.release("10.0.0.7", "a");
  strictEqual(pool.free, 3);
});

Deno.test("address pool: a range bounds what is given, not what may be asked for", () => {
  const pool = new AddressPool({ Subnet: "10.0.0.0/24", IPRange: "10.0.0.128/30" });
  const given = [pool.take("a"), pool.take("b"), pool.take("c"), pool.take("d"), pool.take("e")];
  deepStrictEqual(given.filter(Boolean).length, 4);
  ok(pool.isFree("10.0.0.7"));
  ok(!pool.isFree("10.0.0.0") && !pool.isFree("10.0.0.255") && !pool.isFree("10.0.1.1"));
});

Deno.test("address pool: no address has two owners, whatever is taken and given back", () => {
  fc.assert(fc.property(
    fc.array(fc.nat({ max: 20 }), { maxLength: 200 }),
    (events) => {
      const pool = new AddressPool({ Subnet: "10.0.0.0/28", Gateway: "10.0.0.1" });
      const held = new Map<number, string>();
      for (const owner of events) {
        const had = held.get(owner);
        if (had !== undefined) {
          pool.release(had, `o${owner}`);
          held.delete(owner);
          continue;
        }
        const address = pool.take(`o${owner}`);
        strictEqual(address === undefined, held.size === pool.capacity);
        if (address === undefined) continue;
        ok(![...held.values()].includes(address));
        held.set(owner, address);
      }
      strictEqual(pool.used, held.size);
      strictEqual(pool.free, pool.capacity - held.size);
      deepStrictEqual(
        pool.claims(),
        [...held].map(([owner, address]) => `${address} o${owner}`).sort(),
      );
    },
  ));
});
