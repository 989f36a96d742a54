import assert from "node:assert/strict";
import { timeText } from "../../model/meta.ts";
import type { Service } from "../../model/service.ts";
import type { Change } from "../../model/view.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { orchestrate } from "./orchestrate.ts";
import type { Situation } from "./outcome.ts";

const NOW = Date.UTC(2026, 0, 1);
const META = { Version: { Index: 0 }, CreatedAt: timeText(NOW), UpdatedAt: timeText(NOW) };

Deno.test("an automatic rollback keeps the port that was given out", () => {
  const spec = (Image: string) => ({
    Name: "web",
    TaskTemplate: { ContainerSpec: { Image } },
    Mode: { Replicated: { Replicas: 1 } },
    UpdateConfig: { FailureAction: "rollback" as const },
    EndpointSpec: { Ports: [{ TargetPort: 80 }] },
  });
  const changes = [
    {
      op: "create",
      table: "service",
      object: {
        ...META,
        ID: "s",
        Spec: spec("bad"),
        PreviousSpec: spec("good"),
        SpecVersion: { Index: 2 },
        PreviousSpecVersion: { Index: 1 },
        Endpoint: { Ports: [{ TargetPort: 80, PublishedPort: 30_004 }] },
        UpdateStatus: { State: "updating", StartedAt: timeText(NOW - 5_000) },
      },
    },
    {
      op: "create",
      table: "task",
      object: {
        ...META,
        ID: "t2",
        ServiceID: "s",
        Slot: 1,
        Replaces: "t1",
        Spec: spec("bad").TaskTemplate,
        SpecVersion: { Index: 2 },
        Status: { State: "failed", Timestamp: timeText(NOW) },
        DesiredState: "running",
      },
    },
  ] as unknown as Change[];
  const view = new MemoryStore();
  view.apply(1, changes);
  let ids = 0;
  const outcome = orchestrate(
    { view, nowMs: NOW, newId: () => `new${ids++}` } as unknown as Situation,
    "s",
  );
  const changed = outcome.changes.find(({ table }) => table === "service") as
    | { object: Service }
    | undefined;
  assert.equal(changed?.object.UpdateStatus?.State, "rollback_started");
  assert.deepEqual(changed?.object.Endpoint?.Ports, [{ TargetPort: 80, PublishedPort: 30_004 }]);
});
