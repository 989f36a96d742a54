import assert from "node:assert/strict";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
import { answerFixture, NODES } from "../testing/fixture.ts";

interface Sent {
  readonly Name: string;
  readonly TaskTemplate: {
    readonly ContainerSpec: { readonly Args?: readonly string[]; readonly Env?: readonly string[] };
    readonly Placement?: { readonly Constraints?: readonly string[] };
  };
  readonly EndpointSpec?: { readonly Ports?: readonly { readonly TargetPort: number }[] };
}

/** What `fleet run -d --no-resolve-image WORDS` sends. */
async function sentBy(...words: string[]): Promise<Sent> {
  await using agent = new FakeAgent(answerFixture);
  const { code, err } = await runFleet(["run", "-d", "--no-resolve-image", ...words], {
    host: agent.host,
  });
  assert.deepEqual([code, err], [0, ""], words.join(" "));
  return agent.writes[0]!.body as Sent;
}

Deno.test("run takes its flags behind the image, in every spelling", async () => {
  const node = NODES[2]!;
  const forms = [
    ["nginx", "-r", "web", "--node", "h2", "-e", "A=b", "-p", "8080:80"],
    ["nginx", "-r=web", "--node=h2", "-e=A=b", "-p8080:80"],
    ["-r", "web", "nginx", "--node", "h2", "--env", "A=b", "--publish=8080:80", "--"],
  ];
  for (const words of forms) {
    const { Name, TaskTemplate, EndpointSpec } = await sentBy(...words);
    assert.equal(Name, "web");
    assert.deepEqual(TaskTemplate.Placement?.Constraints, [`node.id==${node.ID}`]);
    assert.deepEqual(TaskTemplate.ContainerSpec.Env, ["A=b"]);
    assert.equal(EndpointSpec?.Ports?.[0]?.TargetPort, 80);
    assert.equal(TaskTemplate.ContainerSpec.Args, undefined, words.join(" "));
  }
});

Deno.test("what is no flag of run, or stands behind --, is the container's", async () => {
  const cases: readonly (readonly [string[], string[]])[] = [
    [["redis", "-r", "x", "--maxmemory", "1gb", "-e", "a"], ["--maxmemory", "1gb", "-e", "a"]],
    [["alpine", "-r", "x", "sh", "-c", "env", "-p", "1"], ["sh", "-c", "env", "-p", "1"]],
    [["alpine", "-r", "x", "--", "-e", "--", "y"], ["-e", "--", "y"]],
    [["alpine", "--", "-r", "y"], ["-r", "y"]],
    [["alpine", "-xe", "y"], ["-xe", "y"]],
  ];
  for (const [words, args] of cases) {
    assert.deepEqual((await sentBy(...words)).TaskTemplate.ContainerSpec.Args, args);
  }
  const help = await runFleet(["run", "nginx", "--help"]);
  assert.match(help.out, /^Usage: fleet run \[options\] IMAGE \[options\]/);
});

Deno.test("outside a cluster run says only that", async () => {
  await using agent = new FakeAgent(() => refusal(503, "This node is not a swarm manager."));
  const { code, err } = await runFleet(["run", "nginx"], { host: agent.host });
  assert.deepEqual(
    [code, err],
    [1, "Error response from daemon: This node is not a swarm manager.\n"],
  );
});
