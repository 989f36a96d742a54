import assert from "node:assert/strict";
import type { ApiNode } from "../api_types.ts";
import { hostname, upgradeOrder } from "./nodes.ts";

Deno.test("workers are upgraded first, the leader last", () => {
  const node = (name: string, ManagerStatus?: ApiNode["ManagerStatus"]) =>
    ({ ID: name, Spec: { Name: name }, ...(ManagerStatus ? { ManagerStatus } : {}) }) as ApiNode;
  const order = upgradeOrder([
    node("a", { Leader: true }),
    node("c", { Reachability: "reachable" }),
    node("d"),
    node("b"),
  ]);
  assert.deepEqual(order.map(hostname), ["b", "d", "c", "a"]);
});
