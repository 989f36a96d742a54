import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Span as OtelSpan, SpanContext } from "@opentelemetry/api";
import { messageOf } from "../../base/errors.ts";
import { isTraceContext } from "../../base/tracer.ts";
import type { Span, Tracer } from "../../base/tracer.ts";

/** A sentence of an error that is told; engines may answer with pages. */
const MAX_ERROR_LENGTH = 1_000;

/** Spans by Deno's own OpenTelemetry, which sends them where `OTEL_EXPORTER_OTLP_ENDPOINT` says. */
export function openTelemetry(version: string): Tracer {
  const tracer = trace.getTracer("fleet", version);
  const spans = new WeakMap<Span, OtelSpan>();
  return {
    start(name, { parent, kind, attributes, startMs } = {}) {
      const within = isTraceContext(parent)
        ? trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent))
        : ROOT_CONTEXT;
      const made = tracer.startSpan(name, {
        kind: kind === "server" ? SpanKind.SERVER : SpanKind.INTERNAL,
        ...(attributes ? { attributes } : {}),
        ...(startMs === undefined ? {} : { startTime: startMs }),
      }, within);
      const span: Span = {
        context: textOf(made.spanContext()),
        set: (more) => void made.setAttributes(more),
        end(error) {
          if (error !== undefined) {
            const message = messageOf(error).slice(0, MAX_ERROR_LENGTH);
            made.setStatus({ code: SpanStatusCode.ERROR, message });
          }
          made.end();
        },
      };
      spans.set(span, made);
      return span;
    },
    within(span, run) {
      const made = spans.get(span);
      return made ? context.with(trace.setSpan(ROOT_CONTEXT, made), run) : run();
    },
    current() {
      const active = trace.getActiveSpan()?.spanContext();
      return active && textOf(active);
    },
  };
}

function textOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

function spanContextOf(text: string): SpanContext {
  const [, traceId = "", spanId = "", flags = ""] = text.split("-");
  return { traceId, spanId, traceFlags: parseInt(flags, 16), isRemote: true };
}
