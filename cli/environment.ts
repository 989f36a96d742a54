import type { LogLevel } from "../src/base/log.ts";

/** One of the two output streams. `columns` is asked anew each time: terminals change size. */
export interface OutputStream {
  write(text: string): void;
  writeBytes(bytes: Uint8Array): void;
  readonly isTTY: boolean;
  /** Width of the terminal in characters; 80 where there is none. */
  columns(): number;
  /** Size of the terminal in characters; undefined where there is none. */
  size(): { readonly rows: number; readonly columns: number } | undefined;
}

export interface InputStream {
  readonly isTTY: boolean;
  /** Everything up to the end of input. */
  readAll(): Promise<Uint8Array>;
  /** What is typed or piped in, as it comes. A read that waits when nobody asks any more is left behind. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Hands every key over as it is pressed, Ctrl-C too; for terminals only. */
  setRaw(raw: boolean): void;
  /** One line without its end; undefined at the end of input. `hidden` turns the terminal's echo off. */
  readLine(options?: { prompt?: string; hidden?: boolean }): Promise<string | undefined>;
}

/** What `fleet --version` says about this executable. */
export interface BuildInfo {
  readonly version: string;
  readonly commit: string;
  readonly buildKind: string;
  readonly denoVersion: string;
}

/** The flags of `fleet agent` after defaults and environment. Addresses are not yet resolved. */
export interface AgentOptions {
  readonly dataDir: string;
  /** Path of the agent's unix socket. */
  readonly socket: string;
  /** `unix:///…` of the Docker engine. */
  readonly dockerHost: string;
  readonly listenAddr: string;
  /** Name of this node; the machine's when absent. */
  readonly hostname?: string;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  /** `NAME=value` lines, of which SIGHUP reads FLEET_LOG_LEVEL again. */
  readonly settingsFile: string;
  /** Unit of the managers' heartbeats and election timeouts; the same on all of them. */
  readonly raftTickMs: number;
  /** The API on TCP, for clients with a certificate; absent is off. */
  readonly tcp?: {
    readonly address: string;
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
  };
  /** Starts although others may read the data directory. */
  readonly allowLooseModes?: true;
  /** Who balances published ports and virtual addresses; `auto` takes IPVS where the kernel has it. */
  readonly meshBackend: "auto" | "ipvs" | "nftables";
  /** `host:port`; absent is off. */
  readonly metricsAddr?: string;
  /** `host:port`; absent is off. */
  readonly uiAddr?: string;
  /** PEM files of the dashboard's certificate and key. */
  readonly uiCert?: string;
  readonly uiKey?: string;
}

/** An agent that was started in the background. */
export interface BackgroundAgent {
  readonly pid: number;
  /** Where its log goes, to tell the user. */
  readonly logFile: string;
}

/** The verbs of `fleet lab`; each resolves to the process's exit code and writes to `output`. */
export interface LabCommands {
  labUp(options: LabUpOptions, output: LabOutput): Promise<number>;
  labStatus(options: { name: string }, output: LabOutput): Promise<number>;
  labEnv(options: { name: string; host: string }, output: LabOutput): Promise<number>;
  labExec(
    options: { name: string; host: string; command: readonly string[] },
    output: LabOutput,
  ): Promise<number>;
  labDown(options: { name: string }, output: LabOutput): Promise<number>;
  /** Drops all frames between two hosts, or no longer; with one host, its cable. */
  labCut(
    options: { name: string; hosts: readonly string[]; cut: boolean },
    output: LabOutput,
  ): Promise<number>;
  labHost(
    options: { name: string; host: string; act: LabAct; only?: "agent" | "engine" },
    output: LabOutput,
  ): Promise<number>;
  /** Slows cables down, or loses frames on them; nothing given makes them whole again. */
  labNet(
    options: { name: string; hosts: readonly string[] } & LabLink,
    output: LabOutput,
  ): Promise<number>;
  /** A cluster, a service, a loss, in a minute. */
  labDemo(options: { name: string; keep: boolean }, output: LabOutput): Promise<number>;
  /** A link to the dashboard of a host. */
  labOpen(options: { name: string; host: string }, output: LabOutput): Promise<number>;
}
export type LabAct = "kill" | "start" | "pause" | "resume";
export interface LabLink {
  readonly delayMs?: number;
  readonly lossPercent?: number;
}
export interface LabUpOptions extends LabLink {
  readonly name: string;
  readonly hosts: number;
  /** Forms a cluster with so many managers; none without. */
  readonly managers?: number;
  /** Every agent serves the dashboard. */
  readonly ui?: boolean;
}
export interface LabOutput {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/** Where and how `ssh` logs in. */
export interface SshLogin {
  /** Name or address. */
  readonly host: string;
  readonly user?: string;
  readonly port?: number;
  /** `user@machine[:port]` that the way goes through. */
  readonly jump?: string;
  /** A terminal for the command. */
  readonly tty?: boolean;
  /** As typed; none is a login shell. */
  readonly command: readonly string[];
}

/** All that the CLI takes from the world besides the agent's socket, so that tests can hand in their own. */
export interface CliEnvironment {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: InputStream;
  /** An environment variable. */
  variable(name: string): string | undefined;
  /** The working directory, absolute. */
  cwd(): string;
  /** @throws when the file cannot be read */
  readFile(path: string): Promise<Uint8Array>;
  /** Replaces a file whole, on the disk; for its owner alone by default. @throws when it cannot be written */
  replaceFile(path: string, bytes: Uint8Array, mode?: number): Promise<void>;
  readonly build: BuildInfo;
  /** Milliseconds since 1970. */
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `handler` on Ctrl-C (SIGINT) and SIGTERM until the returned function is called. */
  onInterrupt(handler: () => void): () => void;
  /** Ends this process at once, in the midst of a wait. */
  exit(code: number): void;
  /** Calls `handler` when the terminal's size has changed until the returned function is called. */
  onResize(handler: () => void): () => void;
  /** Runs a credential helper or the like: its standard output, or undefined when it failed. */
  runHelper(command: string, args: readonly string[], input: string): Promise<string | undefined>;
  /** Runs a shell script on `user@machine[:port]` by OpenSSH, with its words on this standard error. */
  ssh(
    destination: string,
    script: string,
    input: Uint8Array,
  ): Promise<{ readonly code: number; readonly stdout: string }>;
  /** OpenSSH with this process's own terminal and streams; resolves to its exit code. */
  login(login: SshLogin): Promise<number>;
  /** The file of this very executable; undefined when it runs from source. */
  executable(): string | undefined;
  /** `install.sh` of this very build. @throws when it is not there */
  installScript(): Promise<Uint8Array>;
  /** The agent of another machine on a socket here, over SSH to `user@machine[:port]`. */
  sshTunnel(destination: string): Promise<{ readonly socket: string; close(): void }>;
  /** Starts an agent that outlives this process; resolves once it runs, before it answers. */
  startAgentInBackground(options: AgentOptions): Promise<BackgroundAgent>;
  /** Is this process's agent until it stops; resolves to the exit code. */
  runAgent(options: AgentOptions): Promise<number>;
  /** Loads the lab's code, which nothing else needs. */
  lab(): Promise<LabCommands>;
}
