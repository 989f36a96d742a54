import assert from "node:assert/strict";
import { matrix, reasons } from "./ingress.ts";
import type { Report } from "./ingress.ts";

Deno.test("doctor ingress: only what was tried is ok or FAILED, and idle ports say why", () => {
  const result = (Service: string, State: Report["Results"][number]["State"], Reason = "") => ({
    NodeID: "n1",
    Service,
    Protocol: "tcp",
    PublishedPort: 80,
    State,
    OK: State !== "failed",
    Reason,
  });
  const report: Report = {
    Skipped: 3,
    Nodes: ["h1", "h2"].map((Name, i) => ({
      ID: `n${i + 1}`,
      Name,
      Addr: "10.0.0.1",
      Mesh: "ipvs",
      Problems: [],
    })),
    Results: [
      result("a", "open"),
      result("b", "failed", "refused"),
      result("c", "idle", "no task of c shall run"),
      result("d", "untried", "udp: not tried"),
    ],
  };
  const [, first, second] = matrix(report).split("\n");
  assert.match(first!, /ok +FAILED +- +not tried$/);
  // Beyond the limit.
  assert.match(second!, /^h2 .*ipvs +not tried +not tried +not tried +not tried$/);
  assert.deepEqual(reasons(report), [
    "h1 80/tcp (b): refused",
    "h1 80/tcp (c): no task of c shall run",
  ]);
});
