import { randomInt } from "../../../src/base/random.ts";
import type { SeededRandom } from "../../../src/base/random.ts";
import type { Service } from "../../../src/model/service.ts";
import { modeOf } from "../../../src/model/service.ts";
import type { ServiceSpec, UpdateConfig } from "../../../src/model/service_spec.ts";
import type { View } from "../../../src/model/view.ts";
import type { Managers } from "./managers.ts";

const SECOND_NS = 1e9;
const CPU = 1e9;
const IMAGES = ["good:1", "good:2", "good:3", "good:4", "bad:1", "crash:1"];

const pick = <T>(random: SeededRandom, items: readonly T[]): T =>
  items[randomInt(random, items.length)]!;

/** A service as somebody might want it. */
export function drawService(random: SeededRandom, name: string, nodes: number): ServiceSpec {
  const mode = drawMode(random, nodes);
  const job = mode.ReplicatedJob !== undefined || mode.GlobalJob !== undefined;
  const update: UpdateConfig = {
    Parallelism: randomInt(random, 5),
    Delay: pick(random, [0, 0, 2 * SECOND_NS]),
    Monitor: pick(random, [1, 5]) * SECOND_NS,
    FailureAction: pick(random, ["pause", "continue", "rollback"]),
    MaxFailureRatio: pick(random, [0, 0.3]),
    Order: pick(random, ["stop-first", "start-first"]),
  };
  const port = random.float() < 0.1;
  return {
    Name: name,
    Mode: mode,
    TaskTemplate: {
      ContainerSpec: { Image: pick(random, IMAGES) },
      RestartPolicy: {
        Condition: job ? "on-failure" : "any",
        Delay: pick(random, [0, 1, 5]) * SECOND_NS,
      },
      // Some want most of a machine, so that there is not room for all.
      ...(random.float() < 0.4
        ? { Resources: { Reservations: { NanoCPUs: pick(random, [0.5, 2, 3]) * CPU } } }
        : {}),
      ...(random.float() < 0.3 ? { Placement: { Constraints: ["node.labels.zone==a"] } } : {}),
    },
    ...(job ? {} : { UpdateConfig: update, RollbackConfig: { ...update, FailureAction: "pause" } }),
    ...(port
      ? {
        EndpointSpec: {
          Ports: [{ TargetPort: 80, PublishedPort: 8080, PublishMode: "host" }],
        },
      }
      : {}),
  };
}

function drawMode(random: SeededRandom, nodes: number): NonNullable<ServiceSpec["Mode"]> {
  const at = random.float();
  if (at < 0.6) return { Replicated: { Replicas: randomInt(random, nodes / 2) } };
  if (at < 0.75) return { Global: {} };
  if (at < 0.93) {
    const total = 1 + randomInt(random, nodes / 2);
    return { ReplicatedJob: { TotalCompletions: total, MaxConcurrent: 1 + randomInt(random, 8) } };
  }
  return { GlobalJob: {} };
}

/** One thing that somebody changes; what the managers refuse is nobody's fault. */
export async function change(
  managers: Managers,
  random: SeededRandom,
  nodes: number,
): Promise<void> {
  const { truth } = managers;
  const services = [...truth.all("service")].filter(({ PendingDelete }) => !PendingDelete)
    .sort((a, b) => a.ID < b.ID ? -1 : 1);
  const service = services.length > 0 ? pick(random, services) : undefined;
  const at = random.float();
  const number = randomInt(random, 1_000_000);
  if (!service || at < 0.08) {
    await managers.call("service.create", { spec: drawService(random, `x${number}`, nodes) });
  } else if (at < 0.13) await managers.call("service.remove", { id: service.ID });
  else if (at < 0.45) {
    const image = pick(random, IMAGES);
    await update(managers, service, (spec) => withImage(spec, image));
  } else if (at < 0.7 && modeOf(service.Spec) === "replicated") {
    await update(managers, service, (spec) => ({
      ...spec,
      Mode: { Replicated: { Replicas: randomInt(random, nodes / 2) } },
    }));
  } else if (at < 0.8) {
    await managers.call("service.update", {
      id: service.ID,
      version: service.Version.Index,
      spec: service.Spec,
      rollback: "previous",
    });
  } else if (at < 0.9) await managers.call("rebalance.start", {});
  else await update(managers, service, forced);
}

async function update(
  managers: Managers,
  service: Service,
  change: (spec: ServiceSpec) => ServiceSpec,
): Promise<void> {
  await managers.call("service.update", {
    id: service.ID,
    version: service.Version.Index,
    spec: change(service.Spec),
  });
}

function withImage(spec: ServiceSpec, image: string): ServiceSpec {
  return { ...spec, TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image: image } } };
}

function forced(spec: ServiceSpec): ServiceSpec {
  const task = spec.TaskTemplate ?? {};
  return { ...spec, TaskTemplate: { ...task, ForceUpdate: (task.ForceUpdate ?? 0) + 1 } };
}

/** Gives every service an image that works, and what no cluster could give it up. */
export async function heal(managers: Managers, view: View): Promise<void> {
  for (const { ID } of [...view.all("service")]) {
    const service = view.get("service", ID);
    if (!service || service.PendingDelete) continue;
    await update(managers, service, ({ EndpointSpec: _, ...spec }) => ({
      ...withImage(spec, "good:9"),
      TaskTemplate: {
        ...spec.TaskTemplate,
        ContainerSpec: { Image: "good:9" },
        Placement: {},
        Resources: {},
      },
    }));
  }
}
