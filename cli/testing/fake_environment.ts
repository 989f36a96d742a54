import { FleetError } from "../../src/base/errors.ts";
import type {
  AgentOptions,
  CliEnvironment,
  LabCommands,
  LabOutput,
  OutputStream,
  SshLogin,
} from "../environment.ts";
import { runCli } from "../main.ts";

export interface FakeEnvironmentOptions {
  readonly variables?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** What scripts on other machines print, and their exit code. */
  readonly ssh?: string;
  readonly sshCode?: number;
  /** The file of this executable. */
  readonly executable?: string;
  /** Called when an agent is to be started in the background. */
  readonly startAgent?: (options: AgentOptions) => void;
}

/** 2026-11-20T12:00:00Z */
export const NOW = Date.UTC(2026, 10, 20, 12);

/** A world that keeps what is written to it, with time that passes only in sleeps. */
export class FakeEnvironment implements CliEnvironment {
  readonly out = { text: "" };
  readonly err = { text: "" };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly build = { version: "1.2.3", commit: "abc1234", buildKind: "test", denoVersion: "2.9.6" };
  readonly agents: AgentOptions[] = [];
  readonly labCalls: unknown[] = [];
  #now = NOW;
  #interrupt: (() => void) | undefined;
  #stdin: string;

  constructor(readonly options: FakeEnvironmentOptions = {}) {
    this.stdout = stream(this.out, options);
    this.stderr = stream(this.err, options);
    this.#stdin = options.stdin ?? "";
  }

  /** What the terminal was set to, in order. */
  readonly rawModes: boolean[] = [];
  #resized: (() => void) | undefined;

  onResize(handler: () => void): () => void {
    this.#resized = handler;
    return () => this.#resized = undefined;
  }

  /** As a window that is dragged. */
  resize(): void {
    this.#resized?.();
  }

  get stdin() {
    const text = this.#stdin;
    return {
      setRaw: (raw: boolean) => void this.rawModes.push(raw),
      async *chunks() {
        if (text !== "") yield await Promise.resolve(new TextEncoder().encode(text));
      },
      isTTY: this.options.isTTY ?? false,
      readAll: () => Promise.resolve(new TextEncoder().encode(this.#stdin)),
      readLine: () => {
        const [line = "", ...rest] = this.#stdin.split("\n");
        const end = this.#stdin === "";
        this.#stdin = rest.join("\n");
        return Promise.resolve(end ? undefined : line);
      },
    };
  }

  variable(name: string): string | undefined {
    return this.options.variables?.[name];
  }

  cwd(): string {
    return "/work";
  }

  readFile(path: string): Promise<Uint8Array> {
    const written = this.written[path];
    if (written) return Promise.resolve(written);
    const text = this.options.files?.[path];
    if (text === undefined) {
      return Promise.reject(new FleetError("not-found", `no such file: ${path}`));
    }
    return Promise.resolve(new TextEncoder().encode(text));
  }

  readonly written: Record<string, Uint8Array> = {};

  replaceFile(path: string, bytes: Uint8Array): Promise<void> {
    this.written[path] = bytes;
    return Promise.resolve();
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.#now += ms;
    return signal?.aborted ? Promise.reject(signal.reason) : Promise.resolve();
  }

  onInterrupt(handler: () => void): () => void {
    this.#interrupt = handler;
    return () => this.#interrupt = undefined;
  }

  /** As Ctrl-C would. */
  interrupt(): void {
    this.#interrupt?.();
  }

  readonly exits: number[] = [];

  exit(code: number): void {
    this.exits.push(code);
  }

  runHelper(): Promise<string | undefined> {
    return Promise.resolve(undefined);
  }

  readonly sshCalls: { destination: string; script: string; input: string }[] = [];

  ssh(destination: string, script: string, input: Uint8Array) {
    this.sshCalls.push({ destination, script, input: new TextDecoder().decode(input) });
    const { ssh = "done\n", sshCode = 0 } = this.options;
    return Promise.resolve({ code: sshCode, stdout: ssh });
  }

  readonly logins: SshLogin[] = [];

  login(login: SshLogin): Promise<number> {
    this.logins.push(login);
    return Promise.resolve(7);
  }

  executable(): string | undefined {
    return this.options.executable;
  }

  installScript(): Promise<Uint8Array> {
    return Promise.resolve(new TextEncoder().encode("echo 'installs'\n"));
  }

  readonly tunnels: string[] = [];

  sshTunnel(destination: string) {
    this.tunnels.push(destination);
    const socket = (this.options.variables?.["TUNNEL"] ?? "").replace(/^unix:\/\//, "");
    return Promise.resolve({ socket, close: () => {} });
  }

  startAgentInBackground(options: AgentOptions) {
    this.agents.push(options);
    this.options.startAgent?.(options);
    return Promise.resolve({ pid: 4242, logFile: `${options.dataDir}/agent.log` });
  }

  runAgent(options: AgentOptions): Promise<number> {
    this.agents.push(options);
    return Promise.resolve(0);
  }

  lab(): Promise<LabCommands> {
    const record = (verb: string) => (options: unknown, _output: LabOutput) => {
      this.labCalls.push([verb, options]);
      return Promise.resolve(0);
    };
    return Promise.resolve({
      labUp: record("up"),
      labStatus: record("status"),
      labEnv: record("env"),
      labExec: record("exec"),
      labDown: record("down"),
      labCut: record("cut"),
      labHost: record("host"),
      labNet: record("net"),
      labDemo: record("demo"),
      labOpen: record("open"),
    });
  }
}

function stream(target: { text: string }, options: FakeEnvironmentOptions): OutputStream {
  return {
    write: (text) => void (target.text += text),
    writeBytes: (bytes) => void (target.text += new TextDecoder().decode(bytes)),
    isTTY: options.isTTY ?? false,
    columns: () => options.columns ?? 80,
    size: () => options.isTTY ? { rows: 24, columns: options.columns ?? 80 } : undefined,
  };
}

/** Runs one command line to its end. */
export async function runFleet(
  argv: readonly string[],
  options: FakeEnvironmentOptions & { host?: string } = {},
): Promise<{ code: number; out: string; err: string; env: FakeEnvironment }> {
  const env = new FakeEnvironment({
    ...options,
    variables: { ...(options.host ? { FLEET_HOST: options.host } : {}), ...options.variables },
  });
  const code = await runCli(argv, env);
  return { code, out: env.out.text, err: env.err.text, env };
}
