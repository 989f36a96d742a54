/**
 * The dashboard in Debian's Chromium with a cluster that is only a store: bytes, time to the first useful
 * paint, memory, and the work of a frame while 5,000 tasks change.
 */
import type { Page } from "playwright-core";
import { realClock, realRandom } from "../../src/adapters/host/real_clock.ts";
import { serveHttp } from "../../src/adapters/host/http_server.ts";
import { createUi } from "../../src/api/ui/app.ts";
import { UiSessions } from "../../src/api/ui/sessions.ts";
import { loadUiAssets } from "../../src/compose/ui_assets.ts";
import { bundleUi } from "../../scripts/bundle_ui.ts";
import { fromRoot } from "../../scripts/run.ts";
import { launchBrowser } from "../browser/support/browser.ts";
import { FakeCluster } from "../support/fake_cluster.ts";

const TASKS = 5_000;
const NODES = 100;
const ROUNDS = 7;
/** Tasks that change in one go, so many times a second, while frames are measured. */
const CHANGES = 50;
const CHANGE_EVERY_MS = 100;
const MEASURE_MS = 6_000;

export interface UiFigures {
  /** All files of the page, compressed. */
  readonly bytes: number;
  /** Milliseconds from navigation until the first task is drawn: median. */
  readonly firstTasksMs: number;
  /** Of the page's JavaScript heap. */
  readonly heapBytes: number;
  /** Milliseconds of script, style, layout and paint per frame that had any: median and 95 %. */
  readonly frameMs: number;
  readonly frame95Ms: number;
  readonly frames: number;
}

/** A dashboard of `tasks` tasks on a port of its own; `link` logs in. */
export async function serveFakeUi(tasks: number, port: number) {
  const folder = fromRoot("dist/ui");
  await bundleUi(folder);
  const cluster = new FakeCluster();
  cluster.fill({ nodes: NODES, services: 50, tasks });
  const sessions = new UiSessions(realClock, realRandom);
  const assets = await loadUiAssets();
  const ui = createUi({
    backend: cluster.backend(),
    sessions,
    clock: realClock,
    random: realRandom,
    secure: false,
    asset: (path) => assets.get(path),
    api: () => () => Promise.resolve(Response.json({}, { status: 404 })),
    upgrade: (request, { protocol }) => Deno.upgradeWebSocket(request, { protocol }),
  });
  const server = serveHttp({
    flag: "--ui-addr",
    address: `127.0.0.1:${port}`,
    fetch: ui.fetch,
    onError: () => {},
  });
  return {
    cluster,
    bytes: [...assets.values()].reduce((sum, { gzip }) => sum + gzip.length, 0),
    link: () => `${server.url}/#link=${sessions.createLink("operator", "bench")}`,
    url: server.url,
    close: async () => {
      ui.close();
      await server.close();
    },
  };
}

export async function measureUi(tasks = TASKS, measureMs = MEASURE_MS): Promise<UiFigures> {
  const served = await serveFakeUi(tasks, 23_811);
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    await page.goto(served.link());
    await page.waitForSelector(".box");
    const times: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      await page.goto("about:blank");
      await page.goto(`${served.url}/#/`);
      await page.waitForSelector(".box");
      times.push(await page.evaluate(() => performance.now()));
    }
    const { frames, heapBytes } = await measureFrames(page, served.cluster, measureMs);
    return {
      bytes: served.bytes,
      firstTasksMs: quantile(times, 0.5),
      heapBytes,
      frameMs: quantile(frames, 0.5),
      frame95Ms: quantile(frames, 0.95),
      frames: frames.length,
    };
  } finally {
    await browser.close();
    await served.close();
  }
}

/** One event of the browser's trace; times in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
}

/** Changes tasks all the while, and takes from the browser's own trace what each frame's work took. */
async function measureFrames(page: Page, cluster: FakeCluster, ms: number) {
  const ids = [...cluster.store.all("task")].map(({ ID }) => ID);
  let at = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < CHANGES; i++, at++) {
      const id = ids[(at * 97) % ids.length]!;
      const { State } = cluster.store.get("task", id)!.Status;
      cluster.setState(id, State === "running" ? "starting" : "running");
    }
  }, CHANGE_EVERY_MS);
  try {
    const browser = page.context().browser()!;
    await browser.startTracing(page, { categories: ["toplevel", "devtools.timeline"] });
    await page.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), ms);
    const trace = JSON.parse(new TextDecoder().decode(await browser.stopTracing()));
    const session = await page.context().newCDPSession(page);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    return {
      frames: frameWork((trace as { traceEvents: TraceEvent[] }).traceEvents),
      heapBytes: usedSize,
    };
  } finally {
    clearInterval(timer);
  }
}

/**
 * Milliseconds that the page's main thread worked for each frame that it drew: taking the changes in, script, style,
 * layout and paint. A task counts for the frame that it draws or that comes next.
 */
function frameWork(events: readonly TraceEvent[]): number[] {
  const whole = events.filter(({ ph }) => ph === "X");
  const drawn = Map.groupBy(
    whole.filter(({ name }) => name === "Layerize"),
    ({ pid, tid }) => `${pid} ${tid}`,
  );
  const ends = [...drawn.values()].sort((a, b) => b.length - a.length)[0] ?? [];
  const [first] = ends.sort((a, b) => a.ts - b.ts);
  if (!first) return [];
  const frames = ends.map(() => 0);
  for (const { name, pid, tid, ts, dur = 0 } of whole) {
    if (name !== "ThreadControllerImpl::RunTask" || pid !== first.pid || tid !== first.tid) {
      continue;
    }
    const frame = ends.findIndex((end) => end.ts >= ts);
    if (frame >= 0) frames[frame]! += dur / 1000;
  }
  // The first one's began before the trace did.
  return frames.slice(1);
}

function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(q * (values.length - 1))] ?? NaN;
}

export async function run(): Promise<void> {
  for (const tasks of [100, TASKS]) {
    const figures = await measureUi(tasks);
    console.log(
      `${tasks} tasks on ${NODES} nodes: ${(figures.bytes / 1024).toFixed(0)} KiB of page, ` +
        `first tasks drawn after ${figures.firstTasksMs.toFixed(0)} ms, ` +
        `${(figures.heapBytes / 1e6).toFixed(0)} MB of heap, ` +
        `work of a frame ${figures.frameMs.toFixed(1)} ms (95 %: ${
          figures.frame95Ms.toFixed(1)
        } ms, ` +
        `${figures.frames} frames) while ${CHANGES * 1000 / CHANGE_EVERY_MS} tasks/s change`,
    );
  }
}
