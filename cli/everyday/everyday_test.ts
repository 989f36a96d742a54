import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { globMatcher } from "../glob.ts";
import { masked } from "./list.ts";
import { runCli } from "../main.ts";
import { FakeAgent } from "../testing/fake_agent.ts";
import { FakeEnvironment } from "../testing/fake_environment.ts";
import { answerFixture, SERVICES } from "../testing/fixture.ts";
import { restartedSpec, restartOrder } from "./restart.ts";
import { resumedSpec, stoppedSpec } from "./stopped.ts";

Deno.test("a pattern matches what it would as a regular expression, in time that is bounded", () => {
  const letters = fc.constantFrom("a", "b", ".", "*", "?");
  fc.assert(fc.property(
    fc.array(letters, { maxLength: 12 }),
    fc.array(fc.constantFrom("a", "b", "."), { maxLength: 12 }),
    (pattern, name) => {
      const source = pattern.map((c) => c === "*" ? ".*" : c === "?" ? "." : `[${c}]`).join("");
      strictEqual(
        globMatcher(pattern.join(""))(name.join("")),
        new RegExp(`^${source}$`).test(name.join("")),
      );
    },
  ));
  strictEqual(globMatcher(`${"*a".repeat(100)}b`)("a".repeat(10_000)), false);
  throws(() => globMatcher("x".repeat(300)), /more than 256/);
});

Deno.test("what was stopped comes back as it was", () => {
  const spec = { Name: "web", Labels: { a: "1" }, Mode: { Replicated: { Replicas: 3 } } };
  const stopped = stoppedSpec(spec)!;
  strictEqual(stopped.Mode?.Replicated?.Replicas, 0);
  strictEqual(stoppedSpec(stopped), undefined);
  deepStrictEqual(resumedSpec(stopped), spec);
  strictEqual(resumedSpec(spec), undefined);
});

Deno.test("a restart starts first, but not where a host port would be wanted twice", () => {
  const spec = { Name: "web", Mode: { Replicated: { Replicas: 1 } } };
  const restarted = restartedSpec(spec, undefined);
  strictEqual(restartOrder(spec), "start-first");
  strictEqual(restarted.UpdateConfig, undefined, "the service's own order stays");
  strictEqual(restarted.TaskTemplate?.ForceUpdate, 1);
  const ports = { Ports: [{ TargetPort: 80, PublishedPort: 80, PublishMode: "host" as const }] };
  strictEqual(restartOrder({ ...spec, EndpointSpec: ports }), "stop-first");
  const pinned = { Placement: { Constraints: ["node.id==old", "node.labels.a==1"] } };
  deepStrictEqual(
    restartedSpec({ ...spec, TaskTemplate: pinned }, "new").TaskTemplate?.Placement?.Constraints,
    ["node.labels.a==1", "node.id==new"],
  );
  throws(() => restartedSpec({ Name: "j", Mode: { ReplicatedJob: {} } }, undefined), /is a job/);
});

Deno.test("what looks like a secret in an environment is masked", () => {
  strictEqual(masked("DB_PASSWORD=hunter2"), "DB_PASSWORD=***");
  strictEqual(masked("API_KEY="), "API_KEY=***");
  strictEqual(masked("MODE=fast"), "MODE=fast");
});

Deno.test("Ctrl-C leaves a restart going on as it began, and begins no other", async () => {
  await using agent = new FakeAgent((request) => {
    if (request.path === "/tasks") env.interrupt();
    return answerFixture(request);
  });
  const env = new FakeEnvironment({ variables: { FLEET_HOST: agent.host } });
  strictEqual(await runCli(["restart", "--all", "web*"], env), 0);
  strictEqual(agent.writes.length, 1, "nothing is put back while the update runs");
  strictEqual(agent.writes[0]!.query["order"], "start-first");
  const web2 = SERVICES.find(({ Spec }) => Spec.Name === "web2")!;
  const sent = agent.writes[0]!.body as { UpdateConfig?: unknown };
  deepStrictEqual(sent.UpdateConfig, (web2.Spec as Record<string, unknown>)["UpdateConfig"]);
  const id = web2.ID;
  ok(
    env.out.text.endsWith(
      `Operation continuing in background.\nUse \`fleet service ps ${id}\` to check progress.\nNot begun: web10\n`,
    ),
    env.out.text,
  );
});
