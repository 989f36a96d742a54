import assert from "node:assert/strict";
import { engineOperation } from "./engine_operation.ts";
import { refusalReason } from "./refusal_reason.ts";

Deno.test("operations have no names or ids in them", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["POST", "/containers/create?name=web.1.abc", "POST /containers/create"],
    ["POST", "/containers/web.1.abc/start", "POST /containers/{id}/start"],
    ["GET", "/containers/json?all=1", "GET /containers/json"],
    ["DELETE", "/containers/0123abcd?force=1", "DELETE /containers/{id}"],
    ["GET", "/_ping", "GET /_ping"],
    ["GET", "/images/a/b/c:1/json", "GET /images/{id}/b"],
    ["GET", "/what/ever", "GET other"],
  ];
  for (const [method, path, expected] of cases) {
    assert.equal(engineOperation(method, path), expected);
  }
});

Deno.test("sentences of the scheduler become few words", () => {
  assert.equal(
    refusalReason("no suitable node (3 nodes have at most 24105 of 921600 MiB memory free)"),
    "resources",
  );
  assert.equal(
    refusalReason("no suitable node (scheduling constraints not satisfied on 3 nodes)"),
    "constraints",
  );
  assert.equal(refusalReason("something new"), "other");
});
