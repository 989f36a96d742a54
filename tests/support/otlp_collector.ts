import type { LabHost } from "../../src/adapters/lab_hosts/host.ts";
import { until } from "./until.ts";

const PORT = 4318;

/** A span as it arrived, and who sent it. */
export interface SeenSpan {
  /** `service.name` of the sender. */
  readonly sender: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly startMs: number;
  readonly endMs: number;
}

export interface Collector {
  /** What programs on any host of the lab need in their environment to send here. */
  environment(sender: string): Record<string, string>;
  spans(): Promise<SeenSpan[]>;
  close(): Promise<void>;
}

/** Takes OTLP (HTTP, JSON) on a host of a lab. */
export async function startCollector(host: LabHost): Promise<Collector> {
  const file = await Deno.makeTempFile({ prefix: "fleet-spans-" });
  const endpoint = `http://${host.address}:${PORT}`;
  const child = new Deno.Command("nsenter", {
    args: [
      `--net=/run/netns/${host.layout.namespace}`,
      ...[Deno.execPath(), "run", "-A", "--no-config", "--quiet"],
      ...[new URL(import.meta.url).pathname, host.address, file],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  await until("the collector listens", async () => (await Deno.readTextFile(file)) !== "");
  return {
    environment: (sender) => ({
      OTEL_DENO: "true",
      OTEL_SERVICE_NAME: sender,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_BSP_SCHEDULE_DELAY: "200",
    }),
    async spans() {
      const [, ...lines] = (await Deno.readTextFile(file)).split("\n");
      // The last line may be on its way.
      return lines.slice(0, -1).flatMap((line) => spansOf(JSON.parse(line)));
    },
    async close() {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(file);
    },
  };
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** The part of `ExportTraceServiceRequest` that tests look at. */
interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId: string;
        readonly name: string;
        readonly attributes: readonly KeyValue[];
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
      }[];
    }[];
  }[];
}

function spansOf({ resourceSpans }: TraceRequest): SeenSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        sender: record(resource.attributes)["service.name"] ?? "",
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId,
        name: span.name,
        attributes: record(span.attributes),
        startMs: Number(span.startTimeUnixNano) / 1e6,
        endMs: Number(span.endTimeUnixNano) / 1e6,
      }))
    )
  );
}

function record(attributes: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]),
  );
}

if (import.meta.main) {
  const [hostname, file] = Deno.args as [string, string];
  Deno.serve({
    hostname,
    port: PORT,
    onListen: () => Deno.writeTextFileSync(file, "listening\n", { append: true }),
  }, async (request) => {
    const body = await request.json();
    if (new URL(request.url).pathname === "/v1/traces") {
      Deno.writeTextFileSync(file, `${JSON.stringify(body)}\n`, { append: true });
    }
    return Response.json({});
  });
}
