import assert from "node:assert/strict";
import { engineHead, parseHead } from "./request_head.ts";
import { isFleetRoute } from "./route_choice.ts";

function head(line: string) {
  return parseHead(new TextEncoder().encode(`${line}\r\nHost: x\r\n\r\n`));
}

Deno.test("a request in absolute form is routed by its path", () => {
  for (
    const [target, path] of [
      ["/v1.41/nodes?a=b", "/v1.41/nodes?a=b"],
      ["http://127.0.0.1/v1.41/nodes?a=b", "/v1.41/nodes?a=b"],
      ["HTTP://docker", "/"],
      ["http://docker?x=1", "/?x=1"],
    ] as const
  ) assert.equal(head(`GET ${target} HTTP/1.1`).target, path);
  const absolute = head("GET http://127.0.0.1/nodes HTTP/1.1");
  assert.ok(isFleetRoute(absolute.method, absolute.target));
  assert.match(
    new TextDecoder().decode(engineHead(head("GET http://x/containers/json HTTP/1.1"))),
    /^GET \/containers\/json HTTP\/1\.1\r\n/,
  );
});
