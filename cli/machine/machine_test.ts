import assert from "node:assert/strict";
import { FakeAgent } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";

const TOKEN = "SWMTKN-1-worker";
const ANSWERS: Readonly<Record<string, unknown>> = {
  "/swarm": { JoinTokens: { Worker: TOKEN, Manager: "SWMTKN-1-manager" }, Spec: {}, Version: {} },
  "/info": { Swarm: { NodeID: "n1" } },
  "/nodes/n1": { ManagerStatus: { Addr: "10.0.0.1:2377" } },
};

Deno.test("machine add sends the token by the input, never in an argument", async () => {
  await using agent = new FakeAgent(({ path }) => ANSWERS[path]);
  const { code, env, err } = await runFleet(["machine", "add", "--no-install", "ann@far:2222"], {
    host: agent.host,
  });
  assert.equal(code, 0, err);
  const [call] = env.sshCalls;
  assert.deepEqual([call!.destination, call!.input], ["ann@far:2222", `${TOKEN}\n`]);
  assert.match(call!.script, /fleet join --token-file - '10\.0\.0\.1:2377'$/);
  assert(!call!.script.includes(TOKEN));
});

Deno.test("what is no machine is refused, and nothing is run", async () => {
  for (const machine of ["-oProxyCommand=x", "a b", "x;reboot", ""]) {
    const { code, env } = await runFleet(["machine", "env", "--", machine]);
    assert.deepEqual([code, env.sshCalls.length], [2, 0], machine);
  }
});

Deno.test("machine rm asks, and without a terminal wants --yes", async () => {
  const { code, err, env } = await runFleet(["machine", "rm", "far"]);
  assert.equal(code, 2);
  assert.match(err, /give --yes/);
  assert.equal(env.sshCalls.length, 0);
});
