import { deepStrictEqual, rejects } from "node:assert/strict";
import { localIpv6 } from "./local_addresses.ts";

const ipv4 = (name: string, address: string) => ({
  name,
  family: "IPv4" as const,
  address,
  scopeid: null,
});
const ipv6 = (name: string, address: string, scopeid = 0) => ({
  name,
  family: "IPv6" as const,
  address,
  scopeid,
});

Deno.test("local addresses: IPv6 only; those of a link with it, and not of mere cables", () => {
  deepStrictEqual(
    localIpv6([
      ipv4("lo", "127.0.0.1"),
      ipv6("lo", "::1"),
      ipv4("eth0", "192.0.2.2"),
      ipv6("eth0", "fe80::1", 2),
      ipv6("eth1", "fd00::2"),
      ipv6("eth1", "fe80::1", 3),
      ipv6("veth0815", "fe80::2", 9),
      ipv4("fl-4096", "10.0.0.1"),
      ipv6("fl-4096", "fe80::3", 7),
    ]),
    ["::1", "fd00::2", "fe80::1%2", "fe80::1%3"],
  );
  deepStrictEqual(localIpv6([ipv4("lo", "127.0.0.1")]), []);
});

Deno.test("local addresses: something can listen at each that this machine has", async () => {
  for (const hostname of localIpv6(Deno.networkInterfaces())) {
    const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
    const { port } = socket.addr as Deno.NetAddr;
    // By the interface that it listens at: the address of who asks comes without it.
    await socket.send(new Uint8Array([7]), {
      transport: "udp",
      hostname: hostname.replace(/%.*/, ""),
      port,
    });
    const [datagram, from] = await socket.receive();
    deepStrictEqual([...datagram], [7]);
    deepStrictEqual((from as Deno.NetAddr).port, port);
    const waiting = socket.receive();
    socket.close();
    await rejects(waiting);
  }
});
