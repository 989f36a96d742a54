import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { MEASURES } from "../../base/meter.ts";
import type { Measure, MeasureName, Meter } from "../../base/meter.ts";

export const PREFIX = "fleet_";

/** A registry with everything of {@link MEASURES}, and the meter that feeds it. */
export function meteredRegistry(): { readonly registry: Registry; readonly meter: Meter } {
  const registry = new Registry();
  const metrics = new Map<string, Counter | Gauge | Histogram>();
  for (const [name, measure] of Object.entries(MEASURES) as [MeasureName, Measure][]) {
    const settings = {
      name: PREFIX + name,
      help: measure.help,
      labelNames: [...measure.labels],
      registers: [registry],
    };
    metrics.set(
      name,
      measure.kind === "counter"
        ? new Counter(settings)
        : measure.kind === "gauge"
        ? new Gauge(settings)
        : new Histogram({ ...settings, buckets: [...measure.buckets ?? []] }),
    );
  }
  return {
    registry,
    meter: {
      add: (name, labels = {}, by = 1) => (metrics.get(name) as Counter).inc(labels, by),
      observe: (name, value, labels = {}) => {
        const metric = metrics.get(name) as Gauge | Histogram;
        if (metric instanceof Gauge) metric.set(labels, value);
        else metric.observe(labels, value);
      },
    },
  };
}
