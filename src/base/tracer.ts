/**
 * Tracing as an interface: which pieces of work, in which processes, one request led to. What ties them together
 * is plain data (`traceparent` of W3C Trace Context), so that it can travel with requests and stored objects.
 */
export interface Tracer {
  start(name: string, options?: SpanOptions): Span;
  /** Runs `run` with the span as what `current` says, also in what it waits for. */
  within<T>(span: Span, run: () => T): T;
  /** The context of the span that this runs within. */
  current(): string | undefined;
}

/** Values that a span is described by. Never a secret, and nothing of a spec but names. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanOptions {
  /** What it is a part of; what is no {@link isTraceContext} counts as none. None begins a new trace. */
  readonly parent?: string | undefined;
  /** `server` answers somebody's request; `internal` unless given. */
  readonly kind?: "server" | "internal";
  readonly attributes?: SpanAttributes;
  /** Milliseconds since 1970; now unless given. */
  readonly startMs?: number;
}

/** A piece of work. It is told about when it ends. */
export interface Span {
  /** For those who go on with it elsewhere. */
  readonly context: string;
  set(attributes: SpanAttributes): void;
  /** With what it failed by, if it did. */
  end(error?: unknown): void;
}

const TRACE_CONTEXT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Whether a text is a `traceparent` of version 00 (W3C Trace Context, section 3.2). */
export function isTraceContext(text: unknown): text is string {
  return typeof text === "string" && TRACE_CONTEXT.test(text);
}

/** Runs `run` as a span that ends with it; without a tracer just runs it. */
export async function traced<T>(
  tracer: Tracer | undefined,
  name: string,
  options: SpanOptions,
  run: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (!tracer) return await run(undefined);
  const span = tracer.start(name, options);
  try {
    const result = await tracer.within(span, () => run(span));
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}
