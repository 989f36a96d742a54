import assert from "node:assert/strict";
import type { PublishedServer } from "../../core/network/balancer.ts";
import { TakenPorts } from "./taken_ports.ts";

const port = (published: number): PublishedServer => ({
  name: "web",
  protocol: "tcp",
  published,
  target: 80,
  reals: [],
});

Deno.test("a port that a program listens at is left to it, and the program is named", async () => {
  const taken = new TakenPorts(() => Promise.resolve(new Map([["tcp/22", "sshd (pid 7)"]])));
  const { free, problems } = await taken.look([port(22), port(8080)], false);
  assert.deepEqual(free.map(({ published }) => published), [8080]);
  assert.match(problems.get("tcp/22")!, /port 22\/tcp of service web is in use by sshd \(pid 7\)/);
});

Deno.test("a port that the mesh has is kept, whatever begins to listen there", async () => {
  const users = new Map<string, string>();
  const taken = new TakenPorts(() => Promise.resolve(new Map(users)));
  await taken.look([port(8080)], false);
  users.set("tcp/8080", "nginx (pid 9)");
  const { free, problems } = await taken.look([port(8080)], true);
  assert.equal(free.length, 1);
  assert.match(problems.get("tcp/8080")!, /answered by the mesh, so nginx \(pid 9\)/);
});

Deno.test("a port becomes free when the program has ended, at the next audit", async () => {
  const users = new Map([["tcp/8080", "nginx (pid 9)"]]);
  let looks = 0;
  const taken = new TakenPorts(() => Promise.resolve(new Map((looks++, users))));
  assert.equal((await taken.look([port(8080)], false)).free.length, 0);
  users.clear();
  assert.equal((await taken.look([port(8080)], false)).free.length, 0);
  assert.equal(looks, 1);
  assert.equal((await taken.look([port(8080)], true)).free.length, 1);
});
