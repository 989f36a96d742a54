import assert from "node:assert/strict";
import { withFleetLab } from "../support/fleet_lab.ts";
import { startCollector } from "../support/otlp_collector.ts";
import type { SeenSpan } from "../support/otlp_collector.ts";
import { until } from "../support/until.ts";

const TIMEOUT_MS = 120_000;
/** What a service create consists of. */
const PARTS = [
  "POST /services/create",
  "control service.create",
  "raft propose",
  "orchestrator",
  "scheduler",
  "dispatcher",
  "task prepare",
];
/** Of the caller's trace in the second step. */
const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID = "00f067aa0ba902b7";

Deno.test("one service create is one trace, from the API to the container on another node", async (t) => {
  await withFleetLab("tracing", 2, async (lab) => {
    const collector = await startCollector(lab.host("h1"));
    try {
      for (const host of lab.lab.hosts) {
        await host.stop("agent");
        await host.startAgent(undefined, undefined, collector.environment(`fleet on ${host.name}`));
      }
      await lab.form({ managers: 2 });
      const create = (name: string) => ({
        Name: name,
        TaskTemplate: {
          ContainerSpec: { Image: "busybox", Command: ["sleep", "1000"] },
          Placement: { Constraints: ["node.hostname == h2"] },
        },
        Mode: { Replicated: { Replicas: 2 } },
      });
      /** All spans of the trace that the request for a service began. */
      const traceOf = async (name: string): Promise<SeenSpan[]> => {
        const all = await collector.spans();
        const start = all.find((span) =>
          span.name === "task start" && span.attributes["fleet.service"] === name
        );
        return all.filter(({ traceId }) => traceId === start?.traceId);
      };
      const complete = async (name: string): Promise<SeenSpan[]> => {
        await lab.converged(name, 2);
        let spans: SeenSpan[] = [];
        await until(`the trace of ${name}`, async () => {
          spans = await traceOf(name);
          // Each agent sends its own, when it comes to it.
          const ids = new Set(["", SPAN_ID, ...spans.map(({ spanId }) => spanId)]);
          return spans.filter((span) => span.name === "task start").length === 2 &&
            PARTS.every((part) => spans.some((span) => span.name === part)) &&
            spans.every(({ parentSpanId }) => ids.has(parentSpanId));
        }, TIMEOUT_MS);
        return spans;
      };

      await t.step("asked of a manager that does not lead, every part is told", async () => {
        await lab.post("h2", "/v1.41/services/create", create("web"));
        const spans = await complete("web");
        const byId = new Map(spans.map((span) => [span.spanId, span]));
        const roots = spans.filter(({ parentSpanId }) => parentSpanId === "");
        assert.deepEqual(roots.map(({ name, sender }) => [name, sender]), [
          ["POST /services/create", "fleet on h2"],
        ]);
        for (const span of spans) {
          if (span.parentSpanId !== "") {
            assert.ok(byId.has(span.parentSpanId), `${span.name} hangs`);
          }
        }
        const [h1, h2] = ["fleet on h1", "fleet on h2"];
        for (
          const [name, sender] of [
            ["control service.create", h1],
            ["raft propose", h1],
            ["orchestrator", h1],
            ["scheduler", h1],
            ["dispatcher", h1],
            ["task prepare", h2],
            ["task start", h2],
          ] as const
        ) {
          const found = spans.filter((span) => span.name === name);
          assert.ok(found.length > 0, `no ${name} among ${spans.map((span) => span.name)}`);
          for (const span of found) assert.equal(span.sender, sender, name);
        }
        const inside = (name: string, path: RegExp) =>
          spans.find((span) =>
            path.test(span.attributes["url.path"] ?? "") &&
            byId.get(span.parentSpanId)?.name === name
          );
        assert.ok(inside("task prepare", /\/containers\/create$/), "the engine's create is a part");
        assert.ok(inside("task start", /\/containers\/\w+\/start$/), "and its start");
        const order = ["POST /services/create", "orchestrator", "scheduler", "task start"]
          .map((name) => Math.min(...spans.filter((s) => s.name === name).map((s) => s.startMs)));
        // Both hosts share one clock; times in spans are whole milliseconds in places.
        for (let i = 1; i < order.length; i++) {
          assert.ok(order[i]! >= order[i - 1]! - 2, `${order}`);
        }
      });

      await t.step("a caller's own trace goes on here", async () => {
        await lab.post("h1", "/v1.41/services/create", create("shop"), {
          traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`,
        });
        const spans = await complete("shop");
        const api = spans.find((span) => span.name === "POST /services/create")!;
        assert.deepEqual([api.traceId, api.parentSpanId], [TRACE_ID, SPAN_ID]);
      });

      await t.step(
        "what comes later is no part of it, and nobody is shown the context",
        async () => {
          const before = (await traceOf("web")).length;
          const { id } = (await lab.containers("web"))[0]!;
          await lab.host("h2").docker(["kill", id]);
          await lab.host("h2").docker(["wait", id]);
          await until(
            "a task was restarted",
            async () =>
              (await lab.tasks("web")).length === 3 && (await lab.running("web")).length === 2,
            TIMEOUT_MS,
          );
          await lab.post("h1", "/v1.41/services/create", create("last"));
          // The exporter sends in order: what was before "last" has arrived with it.
          await complete("last");
          assert.equal((await traceOf("web")).length, before);
          for (const path of ["/v1.41/services", "/v1.41/tasks"]) {
            assert.doesNotMatch(
              JSON.stringify(await lab.get("h1", path)),
              /"Trace"|00-[0-9a-f]{32}-/,
            );
          }
        },
      );
    } finally {
      await collector.close();
    }
  });
});
