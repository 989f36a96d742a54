import assert from "node:assert/strict";
import { FakeCluster } from "../../../tests/support/fake_cluster.ts";
import { stackPlan } from "./stack_plan.ts";

Deno.test("the difference between a file and what runs is told, and the file's mistakes", async () => {
  const cluster = new FakeCluster();
  cluster.fill({ nodes: 1, services: 0, tasks: 0 });
  const plan = (text: string) => stackPlan(cluster.backend(), "shop", text);
  const { lines } = await plan("services:\n  web:\n    image: nginx\n");
  assert.deepEqual(lines, ["network shop_default: is created", "service shop_web: is created"]);
  await assert.rejects(plan("services:\n  web:\n    imag: nginx\n"), /compose\.yaml:3/);
  await assert.rejects(
    plan("services:\n  web:\n    image: x\n    env_file: /etc/shadow\n"),
    /cannot read \/etc\/shadow/,
  );
});
