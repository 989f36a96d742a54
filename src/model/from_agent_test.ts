import assert from "node:assert/strict";
import fc from "fast-check";
import { FleetError } from "../base/errors.ts";
import { decodeFromAgent } from "./from_agent.ts";

function refused(message: unknown, sentence: RegExp): void {
  assert.throws(() => decodeFromAgent(message), (error) => {
    assert(error instanceof FleetError, String(error));
    assert.equal(error.kind, "invalid");
    assert.match(error.message, sentence);
    return true;
  });
}

Deno.test("what an honest node says passes unchanged", () => {
  const description = {
    Hostname: "h1",
    Platform: { Architecture: "x86_64", OS: "linux" },
    Resources: { NanoCPUs: 2e9, MemoryBytes: 1024 },
    Engine: { EngineVersion: "20.10", Labels: { a: "b" }, Plugins: [{ Type: "Log", Name: "x" }] },
    Overlay: { Addr: "10.0.0.7", Subnets: ["10.0.0.0/24"] },
  };
  assert.deepEqual(decodeFromAgent({ type: "hello", description }), { type: "hello", description });
  assert.deepEqual(decodeFromAgent({ type: "heartbeat" }), { type: "heartbeat" });
  assert.deepEqual(decodeFromAgent({ type: "applied", sequence: 7 }), {
    type: "applied",
    sequence: 7,
  });
  const status = {
    Timestamp: "2026-01-01T00:00:00.000Z",
    State: "failed",
    Err: "task: non-zero exit (1)",
    ContainerStatus: { ContainerID: "ab12", ExitCode: 1 },
  };
  const message = { type: "status", updates: [{ taskId: "t1", status }] };
  assert.deepEqual(decodeFromAgent(message), message);
});

Deno.test("a node's address cannot be a command for the tools of other nodes", () => {
  const hello = (Overlay: unknown) => ({ type: "hello", description: { Overlay } });
  for (const Addr of ["10.0.0.7\nlink del eth0", "10.0.0.7 dev eth0", "$(id)", "-h", "fe80::1%x"]) {
    refused(hello({ Addr }), /Overlay\.Addr: expected an IP address/);
  }
  refused(hello({ Addr: 7 }), /Overlay\.Addr: expected string/);
  refused(hello({ Subnets: ["10.0.0.0/24\nflush"] }), /Overlay\.Subnets/);
  refused(hello({ Routes: ["0.0.0.0"] }), /Overlay\.Routes/);
  refused(hello({ Subnets: Array(300).fill("10.0.0.0/24") }), /Overlay\.Subnets/);
});

Deno.test("a hostname cannot move the cursor, and a description has an end", () => {
  const hello = (description: unknown) => decodeFromAgent({ type: "hello", description });
  const said = hello({ Hostname: "\x1b[2Jroot\n\u202e" });
  assert(said.type === "hello");
  assert.equal(said.description.Hostname, "?[2Jroot??");
  const Labels = Object.fromEntries(Array.from({ length: 9_000 }, (_, i) => [`label${i}`, "x"]));
  refused({ type: "hello", description: { Engine: { Labels } } }, /more than the 65536/);
});

Deno.test("statuses with odd fields are refused before they reach the log", () => {
  const status = (value: unknown, taskId = "t1") => ({
    type: "status",
    updates: [{ taskId, status: value }],
  });
  refused(status({ State: "king" }), /State/);
  refused(status({ State: "running", Timestamp: "soon" }), /Timestamp/);
  refused(status({ State: "running", ContainerStatus: { ContainerID: "../x" } }), /ContainerID/);
  refused(status({ State: "running", ContainerStatus: { ExitCode: 1.5 } }), /ExitCode/);
  refused(status({ State: "running" }, "../../t1"), /taskId/);
  refused({ type: "status", updates: Array(1_001).fill({}) }, /at most 1000/);
  refused({ type: "status", updates: "all" }, /updates/);
  refused({ type: "king" }, /unknown message/);
});

Deno.test("whatever comes is decoded or refused in one sentence", () => {
  const message = fc.oneof(
    fc.jsonValue(),
    fc.record({
      type: fc.constantFrom("hello", "status", "heartbeat"),
      description: fc.jsonValue(),
      updates: fc.oneof(
        fc.jsonValue(),
        fc.array(fc.record({ taskId: fc.string(), status: fc.jsonValue() })),
      ),
    }),
  );
  fc.assert(fc.property(message, (raw) => {
    try {
      decodeFromAgent(raw);
    } catch (error) {
      assert(error instanceof FleetError, String(error));
      assert.equal(error.kind, "invalid");
    }
  }));
});
