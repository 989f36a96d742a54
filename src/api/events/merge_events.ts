import type { ClusterEvent } from "./cluster_event.ts";

/** Events that wait for a reader who is slow; a slower one loses the stream. */
const MAX_WAITING = 1_000;
/** The engine tells its past at once; when it is silent for so long it has no more of it. */
const PAST_MS = 150;
const encoder = new TextEncoder();

export interface MergeOptions {
  /** The engine's stream: JSON lines, its past first. Its end is the end. */
  readonly engine: ReadableStream<Uint8Array>;
  /** The cluster's past, oldest first. */
  readonly past: readonly ClusterEvent[];
  /** Tells what happens from now on; the function returned ends it. */
  readonly follow: (listener: (event: ClusterEvent) => void) => () => void;
  /** Gives the engine's stream up. */
  readonly abort: () => void;
}

/** The engine's events with the cluster's between: the past in order of time, then as they come. */
export function mergeEvents(
  { engine, past, follow, abort }: MergeOptions,
): ReadableStream<Uint8Array> {
  let unfollow = () => {};
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    unfollow();
    clearTimeout(timer);
  };
  return new ReadableStream<Uint8Array>({
    start(out) {
      const waiting = [...past];
      const tell = (event: ClusterEvent) => {
        if ((out.desiredSize ?? 0) < -MAX_WAITING) return abort();
        out.enqueue(encoder.encode(`${JSON.stringify(event)}\n`));
      };
      /** The cluster's past up to a time, before what the engine says of a later one. */
      const catchUp = (timeNano: number) => {
        while (waiting[0] && waiting[0].timeNano < timeNano) tell(waiting.shift()!);
      };
      unfollow = follow((event) => {
        catchUp(Infinity);
        tell(event);
      });
      timer = setTimeout(() => catchUp(Infinity), PAST_MS);
      void forward(engine, (line) => {
        if (waiting.length > 0) catchUp(timeOf(line));
        out.enqueue(encoder.encode(line));
      }).then(() => {
        catchUp(Infinity);
        end();
        out.close();
      }).catch(() => {
        // The reader went first.
        end();
      });
    },
    cancel() {
      end();
      abort();
    },
  });
}

/** Whole lines of the engine's stream, so that no event is cut in two by one of ours. */
async function forward(
  engine: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of engine) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(`${line}\n`);
    }
  } catch {
    // The client left, or the engine went away: the stream ends either way.
  }
  if (rest !== "") onLine(rest);
}

/** When an event of the engine happened, in ns; the end of time for what says nothing of it. */
function timeOf(line: string): number {
  return Number(/"timeNano":(\d+)/.exec(line)?.[1] ?? Infinity);
}
