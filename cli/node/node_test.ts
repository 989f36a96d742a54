import assert from "node:assert/strict";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
import { answerFixture, NODES } from "../testing/fixture.ts";

Deno.test("demote does nothing at all when one name is ambiguous", async () => {
  await using agent = new FakeAgent((request) =>
    request.path === "/nodes/h2"
      ? refusal(400, "node h2 is ambiguous (2 matches found)")
      : answerFixture(request)
  );
  const { code, err } = await runFleet(["node", "demote", "h1", "h2"], { host: agent.host });
  assert.equal(code, 1);
  assert.match(err, /node h2 is ambiguous \(2 matches found\)\nNothing was changed\.\n$/);
  assert.deepEqual(agent.writes, []);
});

Deno.test("node ls knows the state of the certificates in every format", async () => {
  await using agent = new FakeAgent(answerFixture);
  for (const format of ["json", "yaml", "{{json .}}", "{{.TLSStatus}}"]) {
    const { out } = await runFleet(["node", "ls", "--format", format], { host: agent.host });
    assert.match(out, /Ready/, format);
    assert.doesNotMatch(out, /Unknown/, format);
  }
});

Deno.test("recover calls nodes by the names they were given", async () => {
  const nodes = NODES.map((node) =>
    node.Description.Hostname === "h2" ? { ...node, Spec: { ...node.Spec, Name: "kitchen" } } : node
  );
  await using agent = new FakeAgent((request) =>
    request.path === "/nodes" ? nodes : answerFixture(request)
  );
  const { out } = await runFleet(["recover", "--dry-run"], { host: agent.host });
  assert.match(out, /^ {3}kitchen: unreachable/m);
});

Deno.test("the API's sentences name the commands of fleet here", async () => {
  const sentence =
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
  await using agent = new FakeAgent(() => refusal(503, sentence));
  const { err } = await runFleet(["node", "ls"], { host: agent.host });
  assert.equal(
    err,
    `Error response from daemon: ${sentence.replaceAll("docker swarm", "fleet")}\n`,
  );
});
