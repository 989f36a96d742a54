import assert from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import { ROUTE_ROLES } from "../../core/pki/route_roles.ts";
import type { RouteTable } from "../rpc.ts";
import { RaftEndpoint } from "../../adapters/rpc/raft_transport.ts";
import { Routes } from "../../adapters/rpc/routes.ts";
import { SeededRandom } from "../../base/random.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { registerManagerRoutes } from "./manager_routes.ts";
import type { ManagerRoutesOptions } from "./manager_routes.ts";

Deno.test("what a manager registers is the table of routes, no more and no less", () => {
  const routes = new Routes();
  const clock = new ManualClock();
  registerManagerRoutes(routes as RouteTable, {
    manager: () => undefined,
    trust: {} as ManagerRoutesOptions["trust"],
    clock,
    logger: silentLogger,
  });
  new RaftEndpoint({ clock, random: new SeededRandom(1), logger: silentLogger }).register(routes);
  const registered = Object.fromEntries(routes.list().map(({ name, roles }) => [name, roles]));
  assert.deepEqual(registered, ROUTE_ROLES);
});

Deno.test("who has shown no certificate may fetch the root, ask to be let in and prove a key, nothing else", () => {
  const open = Object.entries(ROUTE_ROLES).filter(([, roles]) => roles.includes("anonymous"));
  assert.deepEqual(open.map(([name]) => name), ["ca.root", "ca.issue", "ca.renew"]);
  const workers = Object.entries(ROUTE_ROLES).filter(([, roles]) => roles.includes("worker"));
  assert.deepEqual(workers.map(([name]) => name), [
    ...["attachments.attach", "attachments.find", "attachments.release"],
    ...["attachments.started", "attachments.stopped"],
    ...["ca.root", "ca.issue", "ca.renew", "cluster.leader", "dispatcher.session", "tasks.answer"],
  ]);
});
