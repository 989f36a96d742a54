/**
 * Asks over HTTP as fast as answers come, every request on a connection of its own, until the folder
 * given is removed; prints what came of it as JSON. Run on a lab's host:
 *
 *     deno run -A http_load.ts FOLDER CONNECTIONS HOST:PORT...
 */
export interface LoadResult {
  readonly good: number;
  readonly bad: number;
  readonly ms: number;
  /** In ms; of answered requests. */
  readonly p50: number;
  readonly p99: number;
  /** How many of each kind of failure. */
  readonly failures: Readonly<Record<string, number>>;
}

const REQUEST = new TextEncoder().encode("GET / HTTP/1.0\r\nHost: load\r\n\r\n");
/** A request that is not answered in this time has failed; TCP sends a lost SYN again after 1 s. */
const TIMEOUT_MS = 10_000;

async function ask(hostname: string, port: number): Promise<void> {
  const connection = await Deno.connect({ hostname, port });
  const timer = setTimeout(() => connection.close(), TIMEOUT_MS);
  try {
    await connection.write(REQUEST);
    const buffer = new Uint8Array(4096);
    let text = "";
    for (let n; (n = await connection.read(buffer)) !== null;) {
      text += new TextDecoder().decode(buffer.subarray(0, n));
    }
    const status = text.slice(0, text.indexOf("\r\n"));
    if (!/^HTTP\/1\.[01] 200/.test(status)) throw new Error(status || "an empty answer");
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (text.length - text.indexOf("\r\n\r\n") - 4 < length) throw new Error("a cut answer");
  } finally {
    clearTimeout(timer);
    try {
      connection.close();
    } catch { /* The time was over. */ }
  }
}

async function run(folder: string, connections: number, targets: readonly string[]): Promise<void> {
  const began = performance.now();
  const times: number[] = [];
  const failures: Record<string, number> = {};
  let [bad, next] = [0, 0];
  const there = () => {
    try {
      Deno.statSync(folder);
      return true;
    } catch {
      return false;
    }
  };
  let goOn = true;
  const watch = setInterval(() => goOn = there(), 50);
  await Promise.all(Array.from({ length: connections }, async () => {
    while (goOn) {
      const [hostname = "", port] = targets[next++ % targets.length]!.split(":");
      const start = performance.now();
      try {
        await ask(hostname, Number(port));
        times.push(performance.now() - start);
      } catch (error) {
        bad++;
        const said = `${hostname}: ${error instanceof Error ? error.message : error}`;
        failures[said] = (failures[said] ?? 0) + 1;
      }
    }
  }));
  clearInterval(watch);
  times.sort((a, b) => a - b);
  const at = (share: number) => Number((times[Math.floor(times.length * share)] ?? 0).toFixed(2));
  const ms = Math.round(performance.now() - began);
  const result: LoadResult = { good: times.length, bad, ms, p50: at(0.5), p99: at(0.99), failures };
  console.log(JSON.stringify(result));
}

/** Whatever runs commands where the load shall come from. */
export interface LoadPlace {
  exec(argv: readonly string[], options?: { timeoutMs?: number }): Promise<{
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
  }>;
}

/** Begins to ask from a host; `stop` ends that and tells the result. */
export async function startLoad(
  place: LoadPlace,
  options: { readonly connections: number; readonly targets: readonly string[] },
): Promise<{ stop(): Promise<LoadResult> }> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-load-" });
  const { connections, targets } = options;
  const script = new URL(import.meta.url).pathname;
  const command = [Deno.execPath(), "run", "-A", "--no-check", script, folder, `${connections}`];
  const running = place.exec([...command, ...targets], { timeoutMs: 15 * 60_000 });
  return {
    stop: async () => {
      await Deno.remove(folder, { recursive: true });
      const { code, stdout, stderr } = await running;
      if (code !== 0) throw new Error(`the load generator: ${stderr}`);
      return JSON.parse(stdout) as LoadResult;
    },
  };
}

if (import.meta.main) {
  const [folder = "", connections = "1", ...targets] = Deno.args;
  await run(folder, Number(connections), targets);
}
