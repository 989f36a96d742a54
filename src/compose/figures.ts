import type { AgentOptions, BuildInfo } from "../../cli/environment.ts";
import type { Engine, EngineCall } from "../adapters/docker/engine.ts";
import { engineOperation } from "../adapters/metrics/engine_operation.ts";
import type { AgentFacts } from "../adapters/metrics/node_figures.ts";
import type { Logger } from "../base/log.ts";
import type { Meter } from "../base/meter.ts";
import type { Manager } from "../roles/manager/manager.ts";
import type { FleetNode } from "../roles/node/fleet_node.ts";
import type { Metrics } from "./metrics.ts";

/** The metrics, where they were asked for; their code loads only then. */
export async function metricsOf(
  { metricsAddr }: AgentOptions,
  databases: Readonly<Record<string, string>>,
  build: BuildInfo,
  logger: Logger,
): Promise<Metrics | undefined> {
  if (!metricsAddr) return undefined;
  const { createMetrics } = await import("./metrics.ts");
  return createMetrics({ address: metricsAddr, databases, build, logger });
}

/** What the metrics are read from, as it comes to be. Without metrics nothing is measured. */
export class Figures {
  readonly meter: Meter | undefined;
  manager: Manager | undefined;
  agent: (() => AgentFacts) | undefined;
  readonly #metrics: Metrics | undefined;

  constructor(metrics: Metrics | undefined) {
    this.#metrics = metrics;
    this.meter = metrics?.meter;
  }

  /** Measures every request to the engine from now on. */
  measureEngine(engine: Engine): void {
    const { meter } = this;
    if (!meter) return;
    const request = engine.request.bind(engine);
    engine.request = async (method: string, path: string, options?: EngineCall) => {
      const started = performance.now();
      const labels = { operation: engineOperation(method, path) };
      try {
        return await request(method, path, options);
      } catch (error) {
        meter.add("engine_operation_errors_total", labels);
        throw error;
      } finally {
        meter.observe("engine_operation_seconds", (performance.now() - started) / 1000, labels);
      }
    };
  }

  serve(node: FleetNode): { close(): Promise<void> } | undefined {
    return this.#metrics?.serve({
      // A manager that this node was is none any more.
      manager: () => node.localState().manager ? this.manager : undefined,
      agent: () => this.agent?.(),
      watch: (listener) => void node.watch(listener),
    });
  }
}
