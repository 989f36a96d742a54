import { dirname } from "node:path";
import type {
  AgentOptions,
  BackgroundAgent,
  BuildInfo,
  CliEnvironment,
  InputStream,
  OutputStream,
} from "../../cli/environment.ts";
import { FleetError } from "../base/errors.ts";

/** The world as a command line process finds it. The agent's and the lab's code load only on demand. */
export function cliEnvironment(build: BuildInfo): CliEnvironment {
  return {
    build,
    stdout: output(Deno.stdout),
    stderr: output(Deno.stderr),
    stdin: input(),
    variable: (name) => Deno.env.get(name),
    cwd: () => Deno.cwd(),
    readFile: (path) =>
      Deno.readFile(path).catch((cause) => {
        if (!(cause instanceof Deno.errors.NotFound)) throw cause;
        throw new FleetError("not-found", `no such file: ${path}`, { cause });
      }),
    replaceFile,
    now: () => Date.now(),
    sleep,
    onInterrupt,
    exit: (code) => Deno.exit(code),
    onResize,
    runHelper,
    ssh: async (...given) => (await import("./ssh_tunnel.ts")).runBySsh(...given),
    login: async (login) => (await import("./ssh_tunnel.ts")).logIn(login),
    executable: () => {
      const { command, args } = ownCommand();
      return args.length === 0 ? command : undefined;
    },
    installScript,
    sshTunnel: async (destination) =>
      (await import("./ssh_tunnel.ts")).sshTunnel(
        destination,
        Deno.env.get("FLEET_REMOTE_SOCKET") || undefined,
      ),
    startAgentInBackground,
    runAgent: async (options) => (await import("./agent.ts")).runAgent(options, build),
    lab: async () => (await import("./lab.ts")).labCommands(),
  };
}

const encoder = new TextEncoder();

/** Of a terminal that knows its width only. */
const USUAL_ROWS = 24;

function output(stream: typeof Deno.stdout | typeof Deno.stderr): OutputStream {
  const writeBytes = (bytes: Uint8Array) => {
    try {
      for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
    } catch (error) {
      // A reader such as `head` may leave early; that is not our failure.
      if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
      throw error;
    }
  };
  const size = () => {
    try {
      // A terminal that does not know its size says 0, for either.
      const { rows, columns } = Deno.consoleSize();
      return columns > 0 ? { rows: rows || USUAL_ROWS, columns } : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    writeBytes,
    size,
    write: (text) => writeBytes(encoder.encode(text)),
    isTTY: stream.isTerminal(),
    columns: () => size()?.columns ?? 80,
  };
}

async function replaceFile(path: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const part = `${path}.new`;
  {
    using file = await Deno.open(part, { write: true, create: true, truncate: true, mode });
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.sync();
  }
  await Deno.rename(part, path);
}

function input(): InputStream {
  return {
    isTTY: Deno.stdin.isTerminal(),
    async readAll() {
      return new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
    },
    chunks,
    setRaw: (raw) => Deno.stdin.setRaw(raw),
    // Not async: the terminal has to be back in its mode before anything else runs.
    readLine: (options = {}) => Promise.resolve(readLine(options)),
  };
}

async function* chunks(): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let n = await Deno.stdin.read(buffer); n !== null; n = await Deno.stdin.read(buffer)) {
    yield buffer.slice(0, n);
  }
}

/** Read from standard input at a time. */
const CHUNK_BYTES = 64 * 1024;
/** Longer lines are no answer to a prompt. */
const MAX_LINE = 64 * 1024;

function readLine({ prompt, hidden }: { prompt?: string; hidden?: boolean }): string | undefined {
  if (prompt && Deno.stdin.isTerminal()) Deno.stderr.writeSync(encoder.encode(prompt));
  const raw = hidden === true && Deno.stdin.isTerminal();
  if (raw) Deno.stdin.setRaw(true, { cbreak: true });
  const bytes: number[] = [];
  try {
    const one = new Uint8Array(1);
    while (bytes.length < MAX_LINE) {
      const count = Deno.stdin.readSync(one);
      if (count === null) return bytes.length === 0 ? undefined : text(bytes);
      if (one[0] === 10 || one[0] === 13) break;
      bytes.push(one[0]!);
    }
  } finally {
    if (raw) {
      Deno.stdin.setRaw(false);
      Deno.stderr.writeSync(encoder.encode("\n"));
    }
  }
  return text(bytes);
}

function text(bytes: readonly number[]): string {
  return new TextDecoder().decode(new Uint8Array(bytes)).replace(/\r$/, "");
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Calls `handler` on Ctrl-C and SIGTERM until the returned function is called. */
export function onInterrupt(handler: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, handler);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, handler);
  };
}

function onResize(handler: () => void): () => void {
  Deno.addSignalListener("SIGWINCH", handler);
  return () => Deno.removeSignalListener("SIGWINCH", handler);
}

async function runHelper(
  command: string,
  args: readonly string[],
  stdin: string,
): Promise<string | undefined> {
  try {
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(encoder.encode(stdin));
    await writer.close();
    const { success, stdout } = await child.output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch {
    return undefined;
  }
}

/** How this executable is started again: by its own path when compiled, by Deno from source otherwise. */
export function ownCommand(): { command: string; args: string[] } {
  const launcher = Deno.env.get("FLEET_EXECUTABLE");
  if (launcher) return { command: launcher, args: [] };
  if (Deno.build.standalone) return { command: Deno.execPath(), args: [] };
  const main = new URL("../../main.ts", import.meta.url).pathname;
  return { command: Deno.execPath(), args: ["run", "-A", "--quiet", main] };
}

/** Beside the program in a built executable, at the root of the sources otherwise. */
async function installScript(): Promise<Uint8Array> {
  const built = await Deno.readFile(new URL("./install.sh", import.meta.url)).catch(() =>
    undefined
  );
  return built ?? await Deno.readFile(new URL("../../install.sh", import.meta.url));
}

async function startAgentInBackground(options: AgentOptions): Promise<BackgroundAgent> {
  await Deno.mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const logFile = `${options.dataDir}/agent.log`;
  const { command, args } = ownCommand();
  const flags = [
    ["--data-dir", options.dataDir],
    ["--socket", options.socket],
    ["--docker-host", options.dockerHost],
    ["--listen-addr", options.listenAddr],
    ["--hostname", options.hostname],
    ["--log-level", options.logLevel],
    ["--log-format", options.logFormat],
    ["--settings-file", options.settingsFile],
    ["--raft-tick", `${options.raftTickMs}ms`],
    ["--tcp-addr", options.tcp?.address],
    ["--tlscacert", options.tcp?.ca],
    ["--tlscert", options.tcp?.cert],
    ["--tlskey", options.tcp?.key],
    ["--allow-loose-modes", options.allowLooseModes && "true"],
    ["--mesh-backend", options.meshBackend],
    ["--metrics-addr", options.metricsAddr],
    ["--ui-addr", options.uiAddr],
    ["--ui-cert", options.uiCert],
    ["--ui-key", options.uiKey],
  ].flatMap(([flag, value]) => value === undefined ? [] : [`${flag}=${value}`]);
  // Deno cannot hand a file to a child as its output; the shell can, and then becomes the agent.
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", 'exec "$@" >>"$0" 2>&1', logFile, command, ...args, "agent", ...flags],
    cwd: dirname(logFile),
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  const early = await Promise.race([child.status, sleep(50).then(() => undefined)]);
  if (early) {
    throw new FleetError("unavailable", `the agent did not start; see ${logFile}`);
  }
  child.unref();
  return { pid: child.pid, logFile };
}
