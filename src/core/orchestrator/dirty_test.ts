import assert from "node:assert/strict";
import type { Service } from "../../model/service.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";
import { isDirty } from "./dirty.ts";

const meta = { Version: { Index: 1 }, CreatedAt: "", UpdatedAt: "" };
const service = (spec: ServiceSpec): Service => ({
  ...meta,
  ID: "s",
  Spec: spec,
  SpecVersion: { Index: 2 },
});
const task = (spec: ServiceSpec): Task => ({
  ...meta,
  ID: "t",
  Spec: spec.TaskTemplate ?? {},
  Status: { State: "running" },
  DesiredState: "running",
  SpecVersion: { Index: 1 },
  ...(spec.EndpointSpec ? { EndpointSpec: spec.EndpointSpec } : {}),
});
const base: ServiceSpec = { TaskTemplate: { ContainerSpec: { Image: "a", Env: ["X=1"] } } };
const differs = (spec: ServiceSpec) => isDirty(service(spec), task(base), undefined);

Deno.test("what a client adds when it reads a spec and writes it back replaces no task", () => {
  assert.equal(
    differs({
      Labels: {},
      TaskTemplate: {
        ContainerSpec: {
          Env: ["X=1"],
          Image: "a",
          Isolation: "default",
          DNSConfig: {},
        },
        Resources: { Limits: {}, Reservations: {} },
        RestartPolicy: { Condition: "any" },
        Placement: {},
        ForceUpdate: 0,
        Runtime: "container",
      },
      EndpointSpec: { Mode: "vip" },
    }),
    false,
  );
});

Deno.test("labels, counts and update settings replace no task; image, env and force do", () => {
  assert.equal(
    differs({
      ...base,
      Labels: { a: "b" },
      Mode: { Replicated: { Replicas: 9 } },
      UpdateConfig: { Parallelism: 3 },
    }),
    false,
  );
  assert.equal(differs({ TaskTemplate: { ContainerSpec: { Image: "b", Env: ["X=1"] } } }), true);
  assert.equal(differs({ TaskTemplate: { ContainerSpec: { Image: "a", Env: ["X=2"] } } }), true);
  assert.equal(differs({ TaskTemplate: { ...base.TaskTemplate, ForceUpdate: 1 } }), true);
  assert.equal(differs({ ...base, EndpointSpec: { Ports: [{ TargetPort: 80 }] } }), true);
});

Deno.test("new pull credentials do not touch what has pulled already", () => {
  const spec = {
    TaskTemplate: {
      ContainerSpec: { ...base.TaskTemplate!.ContainerSpec, PullOptions: { RegistryAuth: "x" } },
    },
  };
  assert.equal(differs(spec), false);
  assert.equal(
    isDirty(service(spec), { ...task(base), Status: { State: "preparing" } }, undefined),
    true,
  );
});
