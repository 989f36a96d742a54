import assert from "node:assert/strict";
import { reachableUrl, serveHttp } from "./http_server.ts";

const serve = (address: string, flag = "--ui-addr") =>
  serveHttp({
    flag,
    address,
    fetch: () => Promise.resolve(new Response("hello")),
    onError: () => {},
  });

Deno.test("a port that another program has is named, with the flag", () => {
  const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = other.addr as Deno.NetAddr;
  try {
    for (const flag of ["--ui-addr", "--metrics-addr"]) {
      assert.throws(() => serve(`127.0.0.1:${port}`, flag), {
        kind: "conflict",
        message: `${flag} 127.0.0.1:${port}: another program has this port; choose another one`,
      });
    }
  } finally {
    other.close();
  }
});

Deno.test("an address that is none, or is not here, is refused in a sentence", () => {
  for (const address of ["", ":2380", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "a b:1:2"]) {
    assert.throws(() => serve(address), {
      kind: "invalid",
      message: `--ui-addr ${address}: write it as HOST:PORT, such as 127.0.0.1:2380`,
    });
  }
  assert.throws(() => serve("192.0.2.1:2380"), {
    kind: "not-found",
    message: "--ui-addr 192.0.2.1:2380: this machine has no such address",
  });
});

Deno.test("a link names an address that others reach", () => {
  assert.equal(reachableUrl("https://0.0.0.0:2380", "10.0.0.7"), "https://10.0.0.7:2380");
  assert.equal(reachableUrl("https://[::]:2380", "fd00::7"), "https://[fd00::7]:2380");
  assert.equal(reachableUrl("http://127.0.0.1:2380", "10.0.0.7"), "http://127.0.0.1:2380");
  assert.equal(reachableUrl("https://0.0.0.0:2380", ""), "https://0.0.0.0:2380");
});
