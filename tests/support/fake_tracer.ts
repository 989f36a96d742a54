import type { Span, SpanOptions, Tracer } from "../../src/base/tracer.ts";

export interface FakeSpan {
  readonly name: string;
  readonly options: SpanOptions;
  readonly context: string;
  attributes: Record<string, string | number | boolean>;
  /** Whether it ended, and by which failure. */
  ended: { readonly error: unknown } | undefined;
}

/** Keeps spans; their contexts are numbered. What runs within a span is known as long as nothing waits. */
export class FakeTracer implements Tracer {
  readonly spans: FakeSpan[] = [];
  #current: string | undefined;

  start(name: string, options: SpanOptions = {}): Span {
    const id = String(this.spans.length + 1).padStart(16, "0");
    const context = `00-${"a".repeat(32)}-${id}-01`;
    const span: FakeSpan = {
      name,
      options,
      context,
      attributes: { ...options.attributes },
      ended: undefined,
    };
    this.spans.push(span);
    return {
      context,
      set: (more) => Object.assign(span.attributes, more),
      end: (error) => span.ended = { error },
    };
  }

  within<T>(span: Span, run: () => T): T {
    const before = this.#current;
    this.#current = span.context;
    try {
      return run();
    } finally {
      this.#current = before;
    }
  }

  current(): string | undefined {
    return this.#current;
  }
}
