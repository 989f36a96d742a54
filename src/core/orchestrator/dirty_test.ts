import assert from "node:assert/strict";
import type { Node } from "../../model/node.ts";
import type { Service } from "../../model/service.ts";
import type { ServiceSpec, TaskSpec } from "../../model/service_spec.ts";
import type { TaskState } from "../../model/task_state.ts";
import { isDirty } from "./dirty.ts";

const META = { Version: { Index: 1 }, CreatedAt: "", UpdatedAt: "" };
const SSD: Node = {
  ...META,
  ID: "n",
  Spec: { Labels: { disk: "ssd" } },
  Role: "worker",
  Status: { State: "ready" },
};

/** Whether a task made from `before` is dirty once the service says `after`. */
function dirty(before: ServiceSpec, after: ServiceSpec, state: TaskState = "running"): boolean {
  const service: Service = { ...META, ID: "s", Spec: after, SpecVersion: { Index: 2 } };
  return isDirty(service, {
    ...META,
    ID: "t",
    NodeID: "n",
    Spec: before.TaskTemplate ?? {},
    ...(before.EndpointSpec ? { EndpointSpec: before.EndpointSpec } : {}),
    SpecVersion: { Index: 1 },
    Status: { State: state },
    DesiredState: "running",
  }, SSD);
}

const template = (TaskTemplate: TaskSpec, more: ServiceSpec = {}): ServiceSpec => ({
  TaskTemplate,
  ...more,
});
const image = (Image: string, more: object = {}): TaskSpec => ({
  ContainerSpec: { Image, ...more },
});

Deno.test("what a task runs with matters", () => {
  const base = template(image("a"));
  assert.equal(dirty(base, template(image("b"))), true);
  assert.equal(dirty(base, template(image("a", { Env: ["X=1"] }))), true);
  assert.equal(dirty(base, template(image("a", { Labels: { x: "" } }))), true);
  assert.equal(dirty(base, template(image("a", { Init: false }))), true);
  assert.equal(dirty(base, template(image("a", { StopGracePeriod: 0 }))), true);
  assert.equal(dirty(base, template({ ...image("a"), ForceUpdate: 1 })), true);
  assert.equal(
    dirty(base, template({ ...image("a"), Resources: { Limits: { Pids: 5 } } })),
    true,
  );
  const port = { TargetPort: 80, PublishedPort: 8080 };
  assert.equal(dirty(base, template(image("a"), { EndpointSpec: { Ports: [port] } })), true);
});

Deno.test("what concerns the managers alone replaces nothing", () => {
  const base = template(image("a"));
  assert.equal(dirty(base, template(image("a"), { Labels: { x: "1" } })), false);
  assert.equal(dirty(base, template(image("a"), { Mode: { Replicated: { Replicas: 9 } } })), false);
  assert.equal(dirty(base, template(image("a"), { UpdateConfig: { Parallelism: 3 } })), false);
  const restart = { RestartPolicy: { Condition: "none" } };
  assert.equal(dirty(base, template({ ...image("a"), ...restart })), false);
});

Deno.test("what one client writes out and another leaves out is the same", () => {
  const base = template(image("a"));
  const written = template({
    Resources: {},
    Placement: {},
    ForceUpdate: 0,
    Runtime: "container",
    ContainerSpec: { Mounts: [], TTY: false, Isolation: "default", Image: "a", Labels: {} },
  }, { EndpointSpec: { Mode: "vip" } });
  assert.equal(dirty(base, written), false);
  assert.equal(dirty(written, base), false);
  const ports = [{ TargetPort: 80, PublishedPort: 8080 }, { TargetPort: 81 }];
  const spelled = [
    { TargetPort: 81, Protocol: "tcp", PublishMode: "ingress" },
    { TargetPort: 80, PublishedPort: 8080, Protocol: "tcp" },
  ];
  assert.equal(
    dirty(
      template(image("a"), { EndpointSpec: { Ports: ports } }),
      template(image("a"), { EndpointSpec: { Mode: "vip", Ports: spelled } }),
    ),
    false,
  );
});

Deno.test("an empty argument is an argument", () => {
  assert.equal(
    dirty(template(image("a", { Args: ["x", ""] })), template(image("a", { Args: ["x"] }))),
    true,
  );
});

Deno.test("constraints matter where the node breaks them, or where the task has none yet", () => {
  const base = template(image("a"));
  const on = (disk: string) =>
    template({ ...image("a"), Placement: { Constraints: [`node.labels.disk==${disk}`] } });
  assert.equal(dirty(base, on("ssd")), false);
  assert.equal(dirty(base, on("hdd")), true);
  assert.equal(dirty(base, on("ssd"), "pending"), true);
});

Deno.test("pull credentials matter until the image is pulled", () => {
  const auth = template(image("a", { PullOptions: { RegistryAuth: "secret" } }));
  assert.equal(dirty(template(image("a")), auth, "running"), false);
  assert.equal(dirty(template(image("a")), auth, "preparing"), true);
});
