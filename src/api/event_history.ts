import type { Applied } from "../model/view.ts";
import type { Backend } from "./backend.ts";
import { eventOf } from "./cluster_event.ts";
import type { ClusterEvent } from "./cluster_event.ts";

/** Events that `--since` can go back to on this manager; Docker keeps 256. */
const MAX_EVENTS = 4_096;

/** The newest events of the cluster, as this manager saw them since it started. */
export class EventHistory {
  readonly #events: ClusterEvent[] = [];
  #first = 0;

  constructor(backend: Backend) {
    backend.watch((changes) => this.#note(changes));
  }

  /** In order, within the times given in milliseconds since 1970. */
  between(sinceMs: number, untilMs: number): ClusterEvent[] {
    return [...this.#events.slice(this.#first), ...this.#events.slice(0, this.#first)]
      .filter(({ timeNano }) => timeNano >= sinceMs * 1e6 && timeNano <= untilMs * 1e6);
  }

  #note(changes: readonly Applied[]): void {
    for (const change of changes) {
      const event = eventOf(change);
      if (!event) continue;
      if (this.#events.length < MAX_EVENTS) this.#events.push(event);
      else {
        this.#events[this.#first] = event;
        this.#first = (this.#first + 1) % MAX_EVENTS;
      }
    }
  }
}
