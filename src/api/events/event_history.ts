import type { Backend } from "../backend.ts";
import { eventOf } from "./cluster_event.ts";
import type { ClusterEvent } from "./cluster_event.ts";
import { isInTime, isWanted } from "./event_query.ts";
import type { EventQuery } from "./event_query.ts";

/** Events that can be asked for afterwards; the engine keeps 256 of its own. */
export const MAX_HISTORY = 4_096;

/** The newest events of the cluster as this manager saw them, and those to come for who listens. */
export class EventHistory {
  readonly #events: ClusterEvent[] = [];
  readonly #listeners = new Set<(event: ClusterEvent) => void>();

  constructor(backend: Pick<Backend, "watch">, now: () => number) {
    backend.watch((changes) => {
      for (const change of changes) {
        const event = eventOf(change, now());
        if (event) this.#add(event);
      }
    });
  }

  #add(event: ClusterEvent): void {
    this.#events.push(event);
    if (this.#events.length > MAX_HISTORY) this.#events.shift();
    for (const listener of this.#listeners) listener(event);
  }

  /** What is still known of the time asked for, oldest first. */
  past(query: EventQuery): ClusterEvent[] {
    return this.#events.filter((event) => isInTime(event, query) && isWanted(event, query))
      .toSorted((a, b) => a.timeNano - b.timeNano);
  }

  /** Tells every wanted event from now on; the function returned ends it. */
  follow(query: EventQuery, listener: (event: ClusterEvent) => void): () => void {
    const filtered = (event: ClusterEvent) => {
      if (isWanted(event, query)) listener(event);
    };
    this.#listeners.add(filtered);
    return () => this.#listeners.delete(filtered);
  }
}
