import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../api.ts";
import { hueOf, plain, shortId } from "../format.ts";
import { useStore } from "../hooks.ts";
import { readLogLines } from "../log_frames.ts";
import type { LogLine } from "../log_frames.ts";
import { Empty, Failure } from "../parts/basics.tsx";
import { nodeLabel } from "../parts/task_table.tsx";

/** Lines that the page holds, and draws at once. */
const MAX_LINES = 5_000;
const MAX_DRAWN = 500;
const TAIL = 500;
/** What comes in a burst is drawn together. */
const DRAW_MS = 100;

interface Held {
  readonly lines: readonly LogLine[];
  readonly dropped: number;
  readonly state: "reading" | "over" | "failed";
  readonly error: string;
}

const NOTHING: Held = { lines: [], dropped: 0, state: "reading", error: "" };

export function Logs({ kind, id }: { kind: string; id: string }) {
  const store = useStore();
  const services = store.list("service");
  if (id === "") {
    return (
      <>
        <div class="page-head">
          <h1>Logs</h1>
        </div>
        {services.length === 0 ? <Empty title="No services yet" /> : (
          <ul class="list">
            {services.map((service) => (
              <li key={service.id}>
                <a href={`#/logs/service/${service.id}`}>{service.name}</a>
              </li>
            ))}
          </ul>
        )}
      </>
    );
  }
  const task = store.tables.task.get(id);
  const name = kind === "task"
    ? `${task?.serviceName ?? ""}.${task?.slot ?? ""} ${shortId(id)}`
    : store.tables.service.get(id)?.name ?? shortId(id);
  return <LogView key={`${kind} ${id}`} path={`/api/${kind}s/${id}/logs`} name={name} />;
}

function LogView({ path, name }: { path: string; name: string }) {
  const [held, setHeld] = useState<Held>(NOTHING);
  const [text, setText] = useState("");
  const [paused, setPaused] = useState(false);
  const [atPause, setAtPause] = useState<readonly LogLine[]>([]);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => follow(path, setHeld), [path]);
  const lines = paused ? atPause : held.lines;
  const found = useMemo(() => {
    const wanted = text.toLowerCase();
    return wanted === "" ? lines : lines.filter((line) => line.text.toLowerCase().includes(wanted));
  }, [lines, text]);
  const drawn = found.slice(-MAX_DRAWN);
  useEffect(() => {
    if (!paused && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [drawn, paused]);
  const toggle = () => {
    setAtPause(held.lines);
    setPaused(!paused);
  };
  const missed = paused ? (held.lines.at(-1)?.key ?? 0) - (atPause.at(-1)?.key ?? 0) : 0;
  return (
    <>
      <div class="page-head">
        <h1>Logs of {name}</h1>
        <div class="buttons">
          <label class="search">
            <span class="hidden-text">Search</span>
            <input
              type="search"
              value={text}
              placeholder="Search"
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
          <button type="button" aria-pressed={paused} onClick={toggle}>
            {paused ? `Go on${missed > 0 ? ` (${missed} new)` : ""}` : "Pause"}
          </button>
        </div>
      </div>
      {held.error && <Failure message={held.error} />}
      <div
        class="log"
        ref={box}
        role="log"
        aria-label={`Logs of ${name}`}
        aria-live="off"
        tabIndex={0}
      >
        {drawn.length === 0 && (
          <p class="soft">
            {text
              ? "No line has this."
              : held.state === "reading"
              ? "Waiting for lines…"
              : "No lines."}
          </p>
        )}
        {drawn.map((line) => <Line key={line.key} line={line} />)}
      </div>
      <p class="soft" role="status">
        {found.length} lines{found.length > drawn.length ? `, the last ${drawn.length} shown` : ""}
        {held.dropped > 0 ? `, ${held.dropped} older ones dropped` : ""}
        {held.state === "over" ? "; the log has ended" : paused ? "; paused" : "; following"}
      </p>
    </>
  );
}

function Line({ line }: { line: LogLine }) {
  const node = line.node ? nodeLabel(line.node) : "";
  return (
    <div class={`log-line ${line.stream}`}>
      {line.time && <time dateTime={line.time}>{line.time.slice(11, 23)}</time>}
      {line.task && (
        <span class="log-source" style={{ "--hue": String(hueOf(line.task)) }}>
          {node} {shortId(line.task).slice(0, 6)}
        </span>
      )}
      <span class="log-text">{plain(line.text)}</span>
    </div>
  );
}

/** Reads until told to stop. */
function follow(path: string, set: (change: (held: Held) => Held) => void): () => void {
  const controller = new AbortController();
  set(() => NOTHING);
  let waiting: LogLine[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const draw = () => {
    timer = undefined;
    const fresh = waiting;
    waiting = [];
    set((held) => {
      const all = [...held.lines, ...fresh];
      const over = Math.max(0, all.length - MAX_LINES);
      return { ...held, lines: over > 0 ? all.slice(over) : all, dropped: held.dropped + over };
    });
  };
  const end = (state: Held["state"], error: string) => {
    if (controller.signal.aborted) return;
    clearTimeout(timer);
    draw();
    set((held) => ({ ...held, state, error }));
  };
  const run = async () => {
    const query = `stdout=1&stderr=1&timestamps=1&details=1&follow=1&tail=${TAIL}`;
    const response = await get(`${path}?${query}`, controller.signal);
    for await (const lines of readLogLines(response)) {
      // While the page does not get to draw, old lines make room.
      waiting = [...waiting, ...lines].slice(-MAX_LINES);
      timer ??= setTimeout(draw, DRAW_MS);
    }
  };
  run().then(() => end("over", ""), (error) => end("failed", String(error.message)));
  return () => {
    controller.abort();
    clearTimeout(timer);
  };
}
