import { pause } from "./abortable.ts";
import { filtersQuery, jsonLines } from "./engine.ts";
import type { EngineApi } from "./engine.ts";

/** The part of an engine event that matters here. */
export interface EngineEvent {
  readonly Actor?: {
    readonly ID?: string;
    readonly Attributes?: Readonly<Record<string, string>>;
  };
}

/** Between attempts to reach an engine that is not there. */
const RECONNECT_MS = 500;

export interface EventListener {
  readonly onEvent: (event: EngineEvent) => void;
  /** Events may have been missed: the stream has just begun, or has just ended. */
  readonly onGap: () => void;
  readonly onOpen?: () => void;
  /** The stream ended, or could not be had. */
  readonly onError?: (error: unknown) => void;
}

/** Follows the engine's events that pass the filters until the signal, through restarts of the engine. */
export async function followEvents(
  engine: EngineApi,
  filters: Readonly<Record<string, readonly string[]>>,
  listener: EventListener,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const query = filtersQuery(filters);
      const response = await engine.request("GET", `/events?${query}`, { signal });
      listener.onOpen?.();
      // What happened between the last stream and this one has to be looked for.
      listener.onGap();
      for await (const value of jsonLines(response, engine.socket)) {
        listener.onEvent(value as EngineEvent);
      }
    } catch (error) {
      if (signal.aborted) break;
      listener.onError?.(error);
    }
    listener.onGap();
    await pause(RECONNECT_MS, signal);
  }
}
