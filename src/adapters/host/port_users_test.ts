import assert from "node:assert/strict";
import { portUsers } from "./port_users.ts";

Deno.test("who listens is named; a port that nobody listens at is not there", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const freePort = (free.addr as Deno.NetAddr).port;
  free.close();
  const found = await portUsers(
    [{ protocol: "tcp", port }, { protocol: "tcp", port: freePort }, {
      protocol: "udp",
      port,
    }],
    undefined,
    1,
  );
  assert.deepEqual([...found.keys()], [`tcp/${port}`]);
  assert.match(found.get(`tcp/${port}`)!, new RegExp(`^\\S+ \\(pid ${Deno.pid}\\)$`));
});

Deno.test("the agent's own API and dashboard keep their ports, its part of the mesh is nobody's", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const asked = [{ protocol: "tcp" as const, port }];
  assert.deepEqual([...await portUsers(asked)], [[`tcp/${port}`, "fleet itself"]]);
  assert.equal((await portUsers(asked, (own) => own === port)).size, 0);
});

Deno.test("datagrams: what a program of the machine listens at is named, the agent's own sockets are not", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "::1", port: 0 });
  const { port } = socket.addr as Deno.NetAddr;
  const asked = [{ protocol: "udp" as const, port }, { protocol: "tcp" as const, port }];
  // Whatever the mesh has at that port for TCP.
  assert.equal((await portUsers(asked, (own) => own === port)).size, 0);
  const found = await portUsers(asked, (own) => own === port, 1);
  assert.deepEqual([...found.keys()], [`udp/${port}`]);
  socket.close();
});
