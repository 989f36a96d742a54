import assert from "node:assert/strict";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import type { SeenRequest } from "../testing/fake_agent.ts";
import { FakeEnvironment, runFleet } from "../testing/fake_environment.ts";
import { runCli } from "../main.ts";

const NODES = [{ ID: "n1", Status: { State: "ready" }, Spec: {} }];
const CREATE = ["service", "create", "--no-resolve-image", "--replicas", "1", "nginx"];

/** An agent whose one task is in the state that `stateAt` names for each look. */
function agentWith(
  stateAt: (look: number) => string,
  status: (look: number) => unknown = () => undefined,
) {
  let look = 0;
  return new FakeAgent(({ path, method }: SeenRequest) => {
    if (path === "/services/create") return { ID: "svc1" };
    if (path === "/nodes") return NODES;
    if (path === "/services/svc1" && method === "GET") {
      look++;
      return {
        ID: "svc1",
        Version: { Index: 1 },
        Spec: { Name: "web", Mode: { Replicated: { Replicas: 1 } } },
        UpdateStatus: status(look),
      };
    }
    if (path === "/services/svc1/update") return {};
    if (path !== "/tasks") return undefined;
    return [{
      ID: "t1",
      Slot: 1,
      NodeID: "n1",
      DesiredState: "running",
      Status: { State: stateAt(look) },
    }];
  });
}

Deno.test("service create waits until the service is stable", async () => {
  await using agent = agentWith((look) => look < 3 ? "preparing" : "running");
  const { code, out, env } = await runFleet(CREATE, { host: agent.host });
  assert.equal(code, 0);
  assert.equal(
    out,
    [
      "svc1",
      "overall progress: 0 out of 1 tasks",
      "overall progress: 1 out of 1 tasks",
      ...[5, 4, 3, 2, 1].map((n) =>
        `verify: Waiting ${n} seconds to verify that tasks are stable...`
      ),
      "verify: Service svc1 converged",
      "",
    ].join("\n"),
  );
  const tasks = agent.requests.find((request) => request.path === "/tasks");
  assert.deepEqual(JSON.parse(tasks?.query["filters"] ?? ""), {
    service: { svc1: true },
    "_up-to-date": { true: true },
  });
  assert.ok(env.now() > 0);
});

Deno.test("--quiet waits without a word, --detach does not wait", async () => {
  await using agent = agentWith(() => "running");
  assert.equal(
    (await runFleet([...CREATE.slice(0, 2), "-q", ...CREATE.slice(2)], {
      host: agent.host,
    })).out,
    "svc1\n",
  );
  agent.requests.length = 0;
  await runFleet([...CREATE.slice(0, 2), "-d", ...CREATE.slice(2)], { host: agent.host });
  assert.deepEqual(agent.requests.map((request) => request.path), ["/services/create"]);
});

Deno.test("Ctrl-C ends the wait, not the service", async () => {
  await using agent = agentWith(() => {
    env.interrupt();
    return "preparing";
  });
  const env = new FakeEnvironment({ variables: { FLEET_HOST: agent.host } });
  const code = await runCli(CREATE, env);
  assert.equal(code, 0);
  assert.match(
    env.out.text,
    /Operation continuing in background\.\nUse `fleet service ps svc1` to check progress\.\n$/,
  );
});

Deno.test("a paused update and an unwanted roll-back are exit code 3", async () => {
  {
    await using agent = agentWith(
      () => "preparing",
      () => ({ State: "paused", Message: "update paused due to failure of task t1" }),
    );
    const { code, err } = await runFleet(CREATE, { host: agent.host });
    assert.equal(code, 3);
    assert.equal(err, "error: service update paused: update paused due to failure of task t1\n");
  }
  await using agent = agentWith(
    () => "running",
    () => ({ State: "rollback_completed", Message: "rollback completed" }),
  );
  const update = await runFleet(["service", "update", "--force", "svc1"], { host: agent.host });
  assert.equal(update.code, 3);
  assert.match(update.err, /rolled back to its previous spec: rollback completed/);
  const rollback = await runFleet(["service", "rollback", "svc1"], { host: agent.host });
  assert.equal(rollback.code, 0, "a wanted roll-back is a success");
});

Deno.test("a leader change in the middle is waited out, a service that is gone is not", async () => {
  let look = 0;
  await using agent = new FakeAgent(({ path }) => {
    if (path === "/services/create") return { ID: "svc1" };
    if (path === "/nodes") return NODES;
    if (path === "/tasks") return [];
    look++;
    return look < 5 ? refusal(503, "no leader") : undefined;
  });
  const { code, err } = await runFleet(CREATE, { host: agent.host });
  assert.deepEqual([code, err], [1, "Error response from daemon: page not found\n"]);
  assert.equal(look, 5);
});
