import assert from "node:assert/strict";
import {
  resolveAdvertiseAddress,
  resolveDataPathAddress,
  resolveListenAddress,
} from "./addresses.ts";

const machine = (...entries: [string, string][]) => ({
  list: () =>
    [["lo", "127.0.0.1"], ...entries].map(([name, address]) => ({
      name: name!,
      address: address!,
    })),
  towards: () => Promise.resolve(undefined),
});
const advertise = (
  interfaces: ReturnType<typeof machine>,
  given?: string,
  listen = "0.0.0.0:2377",
) => resolveAdvertiseAddress({ given, listen, interfaces });

Deno.test("the only address of a machine is advertised without asking", () => {
  assert.equal(
    advertise(machine(["eth0", "10.0.0.5"], ["docker0", "172.17.0.1"])),
    "10.0.0.5:2377",
  );
});

Deno.test("several candidates are listed, in the words Docker's client looks for", () => {
  assert.throws(() => advertise(machine(["eth0", "10.0.0.5"], ["eth1", "10.1.0.5"])), {
    kind: "invalid",
    message:
      /could not choose an IP address to advertise .*10\.0\.0\.5 on eth0 and 10\.1\.0\.5 on eth1/,
  });
  assert.throws(() => advertise(machine(["eth0", "10.0.0.5"], ["eth0", "10.0.0.6"])), {
    message: /multiple addresses on interface eth0 \(10\.0\.0\.5 and 10\.0\.0\.6\)/,
  });
  assert.throws(() => advertise(machine()), { message: /could not find the system's IP address/ });
});

Deno.test("an address, an interface name and a port of its own can be given", () => {
  const two = machine(["eth0", "10.0.0.5"], ["eth1", "10.1.0.5"]);
  assert.equal(advertise(two, "10.1.0.5"), "10.1.0.5:2377");
  assert.equal(advertise(two, "eth0:4000"), "10.0.0.5:4000");
  assert.equal(advertise(two, undefined, "10.0.0.5:9"), "10.0.0.5:9");
});

Deno.test("an address of another machine is refused with the ones we have", () => {
  assert.throws(() => advertise(machine(["eth0", "10.0.0.5"]), "10.9.9.9"), {
    message: "advertise address 10.9.9.9 is not an address of this machine; it has 10.0.0.5",
  });
  assert.throws(() => advertise(machine(["eth0", "10.0.0.5"]), "eth7"), {
    message: /neither an IP address nor an interface/,
  });
});

Deno.test("listening defaults to every address on Docker's port", () => {
  assert.equal(resolveListenAddress(undefined, machine()), "0.0.0.0:2377");
  assert.equal(resolveListenAddress("eth0", machine(["eth0", "10.0.0.5"])), "10.0.0.5:2377");
  assert.throws(() => resolveListenAddress("10.0.0.5:99999", machine()), {
    message: /between 1 and 65535/,
  });
});

Deno.test("the data path is an address or interface of the machine, else where others reach it", () => {
  const two = machine(["eth0", "10.0.0.5"], ["eth1", "10.1.0.5"]);
  const path = (given?: string, advertise = "10.0.0.5:2377") =>
    resolveDataPathAddress(given, advertise, two);
  assert.equal(path(), "10.0.0.5");
  assert.equal(path(""), "10.0.0.5");
  assert.equal(path("10.1.0.5"), "10.1.0.5");
  assert.equal(path("eth1"), "10.1.0.5");
  assert.equal(path(undefined, "0.0.0.0:2377"), "", "that is no address");
  assert.throws(() => path("eth9"), {
    kind: "invalid",
    message: /"eth9" is neither an IP address/,
  });
  assert.throws(() => path("0.0.0.0"), { message: /data path address must be a non-zero IP/ });
  assert.throws(() => path("10.2.0.5"), {
    message: /10\.2\.0\.5 is not an address of this machine; it has 10\.0\.0\.5, 10\.1\.0\.5/,
  });
});
