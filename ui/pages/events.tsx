import { useEffect, useState } from "preact/hooks";
import { get, getJson } from "../api.ts";
import { clockTime } from "../format.ts";
import { useLoaded } from "../hooks.ts";
import { Dot, Empty, Failure, Skeleton, Table, WhenLoaded } from "../parts/basics.tsx";
import { nodeLabel } from "../parts/task_table.tsx";

/** A message of the agent's /events. */
interface Message {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly timeNano: number;
}

const MAX_EVENTS = 500;
/** From how long ago events are asked for. */
const SINCE_S = 3_600;
const DRAW_MS = 150;
/** What was there before arrives within this time of the answer's beginning; nothing by then is nothing. */
const PAST_MS = 700;

export function Events() {
  const [events, setEvents] = useState<readonly Message[]>([]);
  const [error, setError] = useState("");
  const [type, setType] = useState("");
  const [loading, setLoading] = useState(true);
  useEffect(() => {
    const controller = new AbortController();
    let waiting: Message[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let past: ReturnType<typeof setTimeout> | undefined;
    const draw = () => {
      timer = undefined;
      const fresh = waiting;
      waiting = [];
      setEvents((known) => [...known, ...fresh].slice(-MAX_EVENTS));
      setLoading(false);
    };
    setEvents([]);
    setError("");
    setLoading(true);
    const filters = encodeURIComponent(
      JSON.stringify({ scope: ["swarm"], ...(type ? { type: [type] } : {}) }),
    );
    const since = Math.floor(Date.now() / 1000) - SINCE_S;
    const run = async () => {
      const response = await get(
        `/api/events?since=${since}&filters=${filters}`,
        controller.signal,
      );
      past = setTimeout(() => setLoading(false), PAST_MS);
      for await (const line of linesOf(response.body!)) {
        waiting.push(JSON.parse(line) as Message);
        timer ??= setTimeout(draw, DRAW_MS);
      }
    };
    run().then(
      () => controller.signal.aborted || setError("the stream of events has ended"),
      (failure) => controller.signal.aborted || setError(String(failure.message)),
    );
    return () => {
      controller.abort();
      clearTimeout(timer);
      clearTimeout(past);
    };
  }, [type]);
  return (
    <>
      <div class="page-head">
        <h1>Events</h1>
        <label class="field inline">
          Type
          <select value={type} onChange={(event) => setType(event.currentTarget.value)}>
            <option value="">all</option>
            {["service", "task", "node", "network", "secret", "config"].map((name) => (
              <option key={name} value={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      {error && <Failure message={error} />}
      {loading && !error
        ? <Skeleton rows={8} />
        : events.length === 0
        ? (
          <Empty title="Nothing has happened in the last hour">
            New events appear here by themselves.
          </Empty>
        )
        : (
          <Table caption="Events, newest first" head={["Time", "Type", "What", "Name", "Details"]}>
            {events.toReversed().map((event, i) => (
              <tr key={`${event.timeNano} ${event.Actor.ID} ${events.length - i}`}>
                <td class="number">{clockTime(event.timeNano / 1e6)}</td>
                <td>{event.Type}</td>
                <td>{event.Action}</td>
                <td>{event.Actor.Attributes["name"] ?? event.Actor.ID}</td>
                <td class="reason">
                  {Object.entries(event.Actor.Attributes).filter(([key]) =>
                    key !== "name"
                  )
                    .map(([key, value]) => `${key}=${key === "node" ? nodeLabel(value) : value}`)
                    .join(" ")}
                </td>
              </tr>
            ))}
          </Table>
        )}
    </>
  );
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(
    new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>,
  )
    .getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield line;
  }
}

/** An entry of `GET /fleet/audit`. */
interface AuditEntry {
  readonly ID: string;
  readonly Time: string;
  readonly Actor: string;
  readonly Via?: string;
  readonly Action: string;
  readonly Object: { readonly Type: string; readonly ID: string; readonly Name: string };
  readonly From?: number;
  readonly To?: number;
  readonly Result: string;
}

const AUDIT_PERIOD_MS = 3_000;

export function Audit() {
  const [round, setRound] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setRound((n) => n + 1), AUDIT_PERIOD_MS);
    return () => clearInterval(timer);
  }, []);
  const entries = useLoaded(
    round,
    (signal) => getJson<AuditEntry[]>("/api/fleet/audit?limit=300", signal),
  );
  return (
    <>
      <div class="page-head">
        <h1>Audit</h1>
      </div>
      <WhenLoaded of={entries} rows={8}>
        {(rows) =>
          rows.length === 0 ? <Empty title="Nobody has changed anything yet" /> : (
            <Table
              caption="Who changed what, newest first"
              head={["Time", "Who", "What", "Object", "Version", "Result"]}
            >
              {rows.map((entry) => (
                <tr key={entry.ID}>
                  <td class="number">{entry.Time.slice(0, 19).replace("T", " ")}</td>
                  <td>{entry.Actor}</td>
                  <td>{entry.Action}</td>
                  <td>{entry.Object.Name || entry.Object.ID}</td>
                  <td class="number">{entry.From ?? "–"} → {entry.To ?? "–"}</td>
                  <td class="reason">
                    <Dot tone={entry.Result === "done" ? "ok" : "bad"} label={entry.Result} />
                  </td>
                </tr>
              ))}
            </Table>
          )}
      </WhenLoaded>
    </>
  );
}
