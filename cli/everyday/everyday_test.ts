import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { globMatcher } from "../glob.ts";
import { masked } from "./list.ts";
import { restartedSpec } from "./restart.ts";
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
  strictEqual(restarted.UpdateConfig?.Order, "start-first");
  strictEqual(restarted.TaskTemplate?.ForceUpdate, 1);
  const ports = { Ports: [{ TargetPort: 80, PublishedPort: 80, PublishMode: "host" as const }] };
  strictEqual(
    restartedSpec({ ...spec, EndpointSpec: ports }, undefined).UpdateConfig?.Order,
    "stop-first",
  );
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
