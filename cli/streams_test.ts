import assert from "node:assert/strict";
import { connect } from "./client.ts";
import { eventText } from "./events.ts";
import { readLogFrames } from "./render/log_frames.ts";
import { parseLogLine } from "./render/log_line.ts";
import { sinceText } from "./since.ts";
import { lastLogLines } from "./stack/last_lines.ts";
import { FakeAgent } from "./testing/fake_agent.ts";
import { runFleet } from "./testing/fake_environment.ts";
import { answerFixture, SELF, SERVICES } from "./testing/fixture.ts";

function frame(stream: number, text: string): Uint8Array {
  const payload = new TextEncoder().encode(text);
  const out = new Uint8Array(8 + payload.length);
  out[0] = stream;
  new DataView(out.buffer).setUint32(4, payload.length);
  out.set(payload, 8);
  return out;
}

function line(task: string, text: string, more = ""): string {
  const details = [
    `com.docker.swarm.node.id=${SELF}`,
    `com.docker.swarm.service.id=${SERVICES[1]!.ID}`,
    `com.docker.swarm.task.id=${task.padEnd(25, "k")}`,
  ];
  return `${details.join(",")}${more} ${text}\n`;
}

async function* pieces(bytes: readonly number[], size: number) {
  for (let i = 0; i < bytes.length; i += size) yield new Uint8Array(bytes.slice(i, i + size));
}

Deno.test("frames are found however the bytes are cut", async () => {
  const bytes = [...frame(1, "one\n"), ...frame(2, "two\n"), ...frame(1, "")];
  for (let size = 1; size <= bytes.length; size++) {
    const seen: string[] = [];
    for await (const { stream, payload } of readLogFrames(pieces(bytes, size))) {
      seen.push(`${stream}:${new TextDecoder().decode(payload)}`);
    }
    assert.deepEqual(seen, ["stdout:one\n", "stderr:two\n", "stdout:"]);
  }
});

Deno.test("details are cut from a log line, the swarm's own ones told apart", () => {
  assert.deepEqual(parseLogLine(`2026-01-01T00:00:00Z ${line("t1", "a b", ",k%2C=v")}`, true), {
    timestamp: "2026-01-01T00:00:00Z",
    context: { nodeId: SELF, serviceId: SERVICES[1]!.ID, taskId: "t1".padEnd(25, "k") },
    details: "k,=v",
    text: "a b\n",
  });
});

Deno.test("service logs tell where each line comes from, and on which stream", async () => {
  await using agent = new FakeAgent((request) =>
    request.path.endsWith("/logs")
      ? new Response(
        new Blob(
          [
            frame(1, line("t1", "hello")),
            frame(2, line("t4", "oops")),
            frame(3, "Error grabbing logs: x"),
          ]
            .map((part) => part.buffer as ArrayBuffer),
        ),
      )
      : answerFixture(request)
  );
  const { code, out, err } = await runFleet(["service", "logs", "--tail", "5", "web2"], {
    host: agent.host,
  });
  assert.equal(out, "web2.2.t1kkkkkkkkkk@h1    | hello\n");
  assert.equal(err, "web2.10.t4kkkkkkkkkk@h1    | oops\nError grabbing logs: x\n");
  assert.equal(code, 1);
  const request = agent.requests.find(({ path }) => path.endsWith("/logs"));
  assert.deepEqual(request?.query, { stdout: "true", stderr: "true", tail: "5", details: "true" });
  const raw = await runFleet(["service", "logs", "--raw", "web2"], { host: agent.host });
  assert.equal(raw.out, "hello\n");
});

Deno.test("a terminal's lines are shown as they come, with details only when they are asked for", async () => {
  await using agent = new FakeAgent((request) => {
    if (request.path.endsWith("/logs")) return new Response("one\r\ntwo\r\n");
    const service = { ...SERVICES[1]!, Spec: { TaskTemplate: { ContainerSpec: { TTY: true } } } };
    return request.path.includes("/services/") ? Response.json(service) : answerFixture(request);
  });
  for (const details of [[], ["--details"]]) {
    const { out } = await runFleet(["service", "logs", "--raw", ...details, "web2"], {
      host: agent.host,
    });
    assert.equal(out, "one\r\ntwo\r\n");
    const { query } = agent.requests.filter(({ path }) => path.endsWith("/logs")).at(-1)!;
    assert.equal(query["details"] === "true", details.length === 1, JSON.stringify(query));
  }
});

Deno.test("the last lines of a task, with and without a terminal", async () => {
  await using agent = new FakeAgent(({ path }) =>
    new Response(
      path.includes("tty")
        ? "one\r\ntwo\r\nthree\r\n"
        : new Blob([frame(1, "one\n"), frame(2, "two\n"), frame(1, "three\n")] as BlobPart[]),
    )
  );
  const client = connect(agent.host);
  try {
    for (const TTY of [true, false]) {
      const task = { ID: TTY ? "tty1" : "t1", Spec: { ContainerSpec: { Image: "x", TTY } } };
      assert.deepEqual(await lastLogLines({ client }, task, 2), ["two", "three"]);
    }
  } finally {
    client.close();
  }
});

Deno.test("points in time: absolute, unix, or back from now", () => {
  const now = Date.parse("2026-11-20T12:00:00Z");
  assert.equal(sinceText("2026-11-20T11:00:00Z", now), String(now / 1000 - 3600));
  assert.equal(sinceText("1700000000.5", now), "1700000000.5");
  assert.equal(sinceText("10m", now), (now / 1000 - 600).toFixed(3));
  assert.throws(() => sinceText("yesterday", now), /invalid duration "yesterday"/);
});

Deno.test("events are one line each, and stop at Ctrl-C", async () => {
  const message = {
    Type: "service",
    Action: "update",
    Actor: { ID: "svc1", Attributes: { name: "web", "replicas.new": "3" } },
    timeNano: Date.parse("2026-11-20T12:00:00.5Z") * 1e6,
  };
  assert.equal(
    eventText(message),
    "2026-11-20T12:00:00.500Z service update svc1 (name=web, replicas.new=3)",
  );
  await using agent = new FakeAgent(() =>
    new Response(`${JSON.stringify(message)}\n${JSON.stringify(message)}\n`)
  );
  const { out } = await runFleet(
    ["events", "--filter", "type=service", "--format", "{{.Action}} {{.Actor.Attributes.name}}"],
    { host: agent.host },
  );
  assert.equal(out, "update web\nupdate web\n");
  assert.deepEqual(JSON.parse(agent.requests[0]?.query["filters"] ?? ""), {
    type: { service: true },
  });
});
