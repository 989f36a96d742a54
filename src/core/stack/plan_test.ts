import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { ServiceSpec } from "../../model/service_spec.ts";
import { desiredStack } from "./desired.ts";
import { loadStack } from "./load.ts";
import { planStack } from "./plan.ts";
import type { FileStep, ObservedStack, ResolveImage } from "./plan.ts";
import { isEmptyPlan, planLines } from "./plan_text.ts";

async function desired(text: string) {
  const { file } = await loadStack([{ name: "a.yml", text }], {
    places: { folder: "/work", home: "/root" },
    lookup: () => undefined,
    readText: () => Promise.reject(new Error("no file")),
  });
  return desiredStack("shop", file);
}

/** The stack as the cluster has it after its services were created, each with three tasks. */
function deployed(
  services: readonly ServiceSpec[],
  files: Readonly<Record<string, FileStep>> = {},
): ObservedStack {
  return {
    services: services.map((spec, i) => ({
      ID: `service${i}`,
      Version: { Index: 1 },
      // As the API gives it back: ids for names, defaults written out.
      Spec: {
        ...spec,
        Mode: spec.Mode?.Replicated
          ? { Replicated: { Replicas: 1, ...spec.Mode.Replicated } }
          : spec.Mode!,
        TaskTemplate: {
          ...spec.TaskTemplate,
          Networks: (spec.TaskTemplate?.Networks ?? []).map((one) => ({
            ...one,
            Target: `id-${one.Target}`,
          })),
          Runtime: "container",
        },
      },
      tasks: 3,
    })),
    networks: new Set(["shop_default"]),
    networkNames: new Map([["id-shop_default", "shop_default"], ["id-shop_back", "shop_back"]]),
    files: new Map(Object.entries(files)),
    fileIds: new Map([["secret shop_s", "new"]]),
  };
}

const BASE = `services:
  web: {image: "nginx:1", environment: {A: "1"}, deploy: {replicas: 3}}
  db: {image: postgres}
`;

async function lines(
  before: string,
  after: string,
  options: { prune?: boolean; resolve?: ResolveImage; files?: Record<string, FileStep> } = {},
): Promise<string[]> {
  const observed = deployed((await desired(before)).services, options.files);
  const plan = planStack(await desired(after), observed, options.resolve ?? "never");
  return planLines(plan, options.prune === true);
}

Deno.test("the same file again changes nothing", async () => {
  const observed = deployed((await desired(BASE)).services);
  const plan = planStack(await desired(BASE), observed, "changed");
  strictEqual(isEmptyPlan(plan, true), true);
  deepStrictEqual(planLines(plan, false), [
    "service shop_db: no change",
    "service shop_web: no change",
  ]);
});

Deno.test("a difference says whether tasks are replaced, how many, and because of what", async () => {
  deepStrictEqual(await lines(BASE, BASE.replace('A: "1"', 'A: "2"')), [
    "service shop_db: no change",
    "service shop_web: replaces 3 tasks because of Env",
    '    Env: ["A=1"] -> ["A=2"]',
  ]);
  deepStrictEqual(await lines(BASE, BASE.replace("replicas: 3", "replicas: 5, labels: {a: b}")), [
    "service shop_db: no change",
    "service shop_web: changes in place",
    "    Labels.a: b",
    "    Mode: 3 replicas -> 5 replicas",
  ]);
  // Labels of the container are others than the service's.
  deepStrictEqual(await lines(BASE, BASE.replace("replicas: 3}", "replicas: 3}, labels: {a: b}")), [
    "service shop_db: no change",
    "service shop_web: replaces 3 tasks because of ContainerSpec.Labels.a",
    "    ContainerSpec.Labels.a: b",
  ]);
  deepStrictEqual(
    await lines(BASE, BASE.replace("image: postgres", "image: postgres, ports: ['1:2']")),
    [
      "service shop_db: replaces 3 tasks because of EndpointSpec.Ports",
      '    EndpointSpec.Ports: [{"Protocol":"tcp","PublishMode":"ingress","PublishedPort":1,"TargetPort":2}]',
      "service shop_web: no change",
    ],
  );
});

Deno.test("new and gone services, networks and files are named", async () => {
  const after = `services:
  web: {image: "nginx:1", environment: {A: "1"}, deploy: {replicas: 3}}
  new: {image: x, networks: [back], configs: [c]}
networks: {back: }
configs: {c: {content: hello}}
`;
  deepStrictEqual(await lines(BASE, after), [
    "network shop_back: is created",
    "config shop_c: is created",
    "service shop_new: is created",
    "service shop_web: no change",
    "service shop_db: is not in the file and stays; --prune removes it",
  ]);
  strictEqual((await lines(BASE, after, { prune: true })).at(-1), "service shop_db: is removed");
});

Deno.test("a secret with new content replaces the tasks that use it", async () => {
  const text =
    "services: {web: {image: x, secrets: [s]}, db: {image: x}}\nsecrets: {s: {content: b}}";
  deepStrictEqual(await lines(text, text, { files: { "secret shop_s": "rotate" } }), [
    "secret shop_s: gets a new version",
    "service shop_db: no change",
    "service shop_web: replaces 3 tasks because of secret shop_s",
    "    secret shop_s: new content",
  ]);
});

Deno.test("an image keeps its digest unless it changed or the registry is to be asked", async () => {
  const specs = (await desired(BASE)).services;
  const pinned = specs.map((spec): ServiceSpec => ({
    ...spec,
    TaskTemplate: {
      ...spec.TaskTemplate,
      ForceUpdate: 4,
      ContainerSpec: {
        ...spec.TaskTemplate?.ContainerSpec,
        Image: `${spec.TaskTemplate?.ContainerSpec?.Image}@sha256:${"0".repeat(64)}`,
      },
      Placement: { Platforms: [{ OS: "linux" }] },
    },
  }));
  const changed = await desired(BASE.replace("nginx:1", "nginx:2"));
  const steps = (resolve: ResolveImage) =>
    planStack(changed, deployed(pinned), resolve).services.map((service) => [
      service.name,
      service.step,
      service.resolveImage,
      service.spec.TaskTemplate?.ContainerSpec?.Image?.includes("@"),
      service.spec.TaskTemplate?.ForceUpdate,
    ]);
  deepStrictEqual(steps("changed"), [
    ["shop_db", "none", false, true, 4],
    ["shop_web", "update", true, false, 4],
  ]);
  deepStrictEqual(steps("never"), [
    ["shop_db", "none", false, true, 4],
    ["shop_web", "update", false, false, 4],
  ]);
  strictEqual(steps("always")[0]![2], true);
});

Deno.test("a service that was rolled back to an old version of a secret is brought up again", async () => {
  const text = "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {content: b}}";
  const wanted = await desired(text);
  const withId = (SecretID: string) =>
    wanted.services.map((spec): ServiceSpec => ({
      ...spec,
      TaskTemplate: {
        ...spec.TaskTemplate,
        ContainerSpec: {
          ...spec.TaskTemplate?.ContainerSpec,
          Secrets: (spec.TaskTemplate?.ContainerSpec?.Secrets ?? []).map((use) => ({
            ...use,
            SecretID,
          })),
        },
      },
    }));
  const linesWith = (id: string) =>
    planLines(planStack(wanted, deployed(withId(id), { "secret shop_s": "none" }), "never"), false);
  deepStrictEqual(linesWith("new"), ["service shop_web: no change"]);
  strictEqual(linesWith("old")[0], "service shop_web: replaces 3 tasks because of Secrets");
});
