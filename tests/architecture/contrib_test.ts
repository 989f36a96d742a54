/** The Grafana dashboard and the alert rules speak of metrics that there are. */
import assert from "node:assert/strict";
import {
  registerClusterFigures,
  schedulerCounters,
} from "../../src/adapters/metrics/cluster_figures.ts";
import {
  registerAgentFigures,
  registerDatabaseFigures,
  registerProcessFigures,
} from "../../src/adapters/metrics/node_figures.ts";
import { meteredRegistry } from "../../src/adapters/metrics/registry.ts";
import { expressions, grafanaDashboard, metricsOf, scraped } from "../support/prometheus_names.ts";

Deno.test("the Grafana dashboard is one that Grafana takes", async () => {
  const { uid, title, schemaVersion, templating, panels } = await grafanaDashboard();
  assert.deepEqual([uid, title], ["fleet", "fleet"]);
  assert.ok(schemaVersion >= 36);
  assert.deepEqual(templating.list.map(({ name, type }) => `${name}: ${type}`), [
    "datasource: datasource",
  ]);
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  assert.equal(new Set(panels.map((panel) => panel.title)).size, panels.length);
  const cells = new Set<string>();
  for (const { title, type, datasource, gridPos, targets } of panels) {
    assert.equal(type, "timeseries", title);
    assert.deepEqual(datasource, { type: "prometheus", uid: "${datasource}" }, title);
    const { x, y, w, h } = gridPos;
    assert.ok(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 24, `${title} is beyond the grid`);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        assert.ok(!cells.has(`${column} ${row}`), `${title} lies on another panel`);
        cells.add(`${column} ${row}`);
      }
    }
    assert.ok(targets.length > 0, title);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    for (const { expr } of targets) assert.ok(metricsOf(expr).length > 0, `${title}: ${expr}`);
  }
});

Deno.test("every metric that a panel or an alert names is registered", async () => {
  const { registry } = meteredRegistry();
  registerClusterFigures(registry, () => undefined);
  registerAgentFigures(registry, () => undefined);
  registerProcessFigures(registry, { version: "0", commit: "0", denoVersion: "0" });
  registerDatabaseFigures(registry, {});
  schedulerCounters(registry);
  const there = scraped(await registry.metrics());
  assert.ok(there.size > 40, `only ${there.size} metrics`);
  const wrong = (await expressions()).flatMap(({ from, expr }) =>
    metricsOf(expr).filter((name) => !there.has(name)).map((name) => `${from}: ${name}`)
  );
  assert.deepEqual(wrong, []);
});
