import { isLoopback, serveHttp } from "../adapters/host/http_server.ts";
import { registerClusterFigures, schedulerCounters } from "../adapters/metrics/cluster_figures.ts";
import type { ManagerFacts } from "../adapters/metrics/cluster_figures.ts";
import {
  registerAgentFigures,
  registerDatabaseFigures,
  registerProcessFigures,
} from "../adapters/metrics/node_figures.ts";
import type { AgentFacts } from "../adapters/metrics/node_figures.ts";
import { meteredRegistry } from "../adapters/metrics/registry.ts";
import type { BuildInfo } from "../../cli/environment.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Meter } from "../base/meter.ts";
import type { Manager } from "../roles/manager/manager.ts";
import type { Applied } from "../model/view.ts";

/** What the figures are read from. */
export interface MetricsSources {
  readonly manager: () => Manager | undefined;
  readonly agent: () => AgentFacts | undefined;
  readonly watch: (listener: (changes: readonly Applied[]) => void) => void;
}

export interface Metrics {
  readonly meter: Meter;
  /** Serves them from now on. @throws FleetError as serveHttp */
  serve(sources: MetricsSources): { close(): Promise<void> };
}

/** The figures of this process on `address`, under /metrics. */
export function createMetrics(
  { address, databases, build, logger }: {
    readonly address: string;
    /** Paths by name. */
    readonly databases: Readonly<Record<string, string>>;
    readonly build: BuildInfo;
    readonly logger: Logger;
  },
): Metrics {
  const { registry, meter } = meteredRegistry();
  return {
    meter,
    serve({ manager, agent, watch }) {
      const refresh = [
        registerProcessFigures(registry, build),
        registerClusterFigures(registry, () => factsOf(manager())),
        registerAgentFigures(registry, agent),
        registerDatabaseFigures(registry, databases),
      ];
      const count = schedulerCounters(registry);
      watch((changes) => count(changes, manager()?.runner.leading ?? false));
      const server = serveHttp({
        flag: "--metrics-addr",
        address,
        fetch: async (request) => {
          const { pathname } = new URL(request.url);
          if (pathname !== "/metrics") return new Response("see /metrics\n", { status: 404 });
          if (request.method !== "GET" && request.method !== "HEAD") {
            return new Response("only GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
          }
          for (const read of refresh) read();
          return new Response(await registry.metrics(), {
            headers: { "content-type": registry.contentType },
          });
        },
        onError: (error) => logger.log("warn", "metrics", { error: messageOf(error) }),
      });
      logger.log("info", `metrics are on ${server.url}/metrics`);
      if (!isLoopback(address)) {
        logger.log(
          "info",
          "whoever reaches the metrics' address reads names of services and nodes",
        );
      }
      return server;
    },
  };
}

function factsOf(manager: Manager | undefined): ManagerFacts | undefined {
  if (!manager) return undefined;
  const status = manager.runner.node.status();
  const voters = manager.members().filter(({ voter }) => voter);
  return {
    view: manager.store,
    leading: manager.runner.leading,
    term: status.term,
    commit: status.commit,
    applied: manager.runner.applied,
    logEntries: Math.max(0, status.lastIndex - status.firstIndex + 1),
    voters: voters.length,
    reachable: voters.filter(({ reachable }) => reachable).length,
    hasLeader: manager.runner.leader !== "",
    sessions: manager.leaderWork?.sessions ?? 0,
  };
}
