import { FleetError, messageOf } from "../../base/errors.ts";
import { BOOT_SCRIPT, bootArgv, engineConfig, hostEnvironment } from "./boot.ts";
import { nameFlag } from "./layout.ts";
import type { HostLayout, LabLayout } from "./layout.ts";
import {
  findInner,
  killAll,
  namespaceLink,
  processesInCgroup,
  processesInside,
  removeCgroup,
  removeNamespaces,
} from "./leftovers.ts";
import { capture, hasInEnvironment, isAlive, must, signalPid, until } from "./process.ts";
import type { CaptureOptions, Output } from "./process.ts";
import { plugIn, setPort } from "./switch.ts";

/** What runs on a host. */
export type Daemon = "dockerd" | "agent";

export interface EngineOptions {
  /** Settings of `daemon.json` beside the lab's own, such as `live-restore`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

export interface AgentStart {
  /** The command of the agent, without the word `agent`. */
  readonly binary: readonly string[];
  readonly args: readonly string[];
}

/** Generous: the first engine on a machine comes from a cold disk. */
const START_TIMEOUT_MS = 120_000;
/** The engine gives containers 10 s to end, and itself 5 s more; a busy disk may take its time as well. */
const STOP_TIMEOUT_MS = 60_000;
const LOG_TAIL = 2_000;
const POLL_MS = 10;
/** A daemon that was there and is not to be seen so often in a row has ended. */
const ENDED_LOOKS = 3;

/**
 * One Docker host: its own network, mounts, processes and host name, an engine and an agent. Its first
 * process keeps the namespaces; when that dies the kernel ends everything else, as a power cut would.
 */
export class LabHost {
  readonly layout: HostLayout;
  readonly #lab: LabLayout;
  readonly #hosts: readonly HostLayout[];
  readonly #agent: AgentStart;

  constructor(
    lab: LabLayout,
    layout: HostLayout,
    hosts: readonly HostLayout[],
    agent: AgentStart,
  ) {
    this.#lab = lab;
    this.layout = layout;
    this.#hosts = hosts;
    this.#agent = agent;
  }

  get name(): string {
    return this.layout.name;
  }

  get address(): string {
    return this.layout.address;
  }

  /** The environment that points both clients at this host: at the agent, or the engine in a lab without. */
  env(): Record<string, string> {
    const { fleetSocket, engineSocket } = this.layout;
    const docker = this.#agent.binary.length > 0 ? fleetSocket : engineSocket;
    return { DOCKER_HOST: `unix://${docker}`, FLEET_HOST: `unix://${fleetSocket}` };
  }

  /** Cable, namespaces, first process; no engine yet. */
  async boot(signal?: AbortSignal): Promise<void> {
    const { folder, name } = this.layout;
    await Deno.mkdir(folder, { recursive: true, mode: 0o711 });
    await plugIn(this.#lab, this.layout);
    await Deno.writeTextFile(`${folder}/boot.sh`, BOOT_SCRIPT);
    signal?.throwIfAborted();
    const [command, ...args] = bootArgv(this.layout, this.#hosts);
    const child = new Deno.Command(command!, {
      args,
      cwd: "/",
      env: hostEnvironment(this.#lab),
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const said = await firstLine(child.stdout);
    await child.status;
    if (said !== "ready") {
      const why = await Deno.readTextFile(`${folder}/boot.log`).catch(messageOf);
      throw new FleetError("internal", `${name} cannot be made: ${why.trim()}`);
    }
  }

  async startEngine(options: EngineOptions = {}): Promise<void> {
    const { folder, engineSocket } = this.layout;
    if (this.pid("dockerd") !== undefined) return;
    // An engine that was killed leaves these; its successor would take a new process for the old one.
    await this.#inside(["rm", "-f", "/run/docker.pid", engineSocket]);
    const config = `${folder}/daemon.json`;
    if (options.settings || !await Deno.stat(config).then(() => true, () => false)) {
      const settings = engineConfig(this.#lab, this.layout, options.settings);
      await Deno.writeTextFile(config, JSON.stringify(settings, null, 2));
    }
    await this.#start("dockerd", ["dockerd", "--config-file", config], engineSocket, {}, options);
  }

  /** The stock client against the engine itself, not through fleet. */
  docker(args: readonly string[], options: CaptureOptions = {}): Promise<Output> {
    return capture(["docker", "-H", `unix://${this.layout.engineSocket}`, ...args], options);
  }

  /** Loads an image archive (`imageArchive`). */
  async loadImage(archive: Uint8Array): Promise<void> {
    const { code, stderr } = await this.docker(["load", "--quiet"], { stdin: archive });
    if (code !== 0) {
      throw new FleetError("internal", `${this.name}: cannot load the image: ${stderr.trim()}`);
    }
  }

  /** Starts the agent and waits until it answers. Arguments come after the lab's own. */
  async startAgent(
    binary: readonly string[] = this.#agent.binary,
    args: readonly string[] = this.#agent.args,
    environment: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<void> {
    const { fleetSocket, engineSocket, dataDir, name } = this.layout;
    if (binary.length === 0) {
      throw new FleetError("invalid", `lab ${this.#lab.name} was made without agents`);
    }
    if (this.pid("agent") !== undefined) return;
    const flags = [
      ...["--data-dir", dataDir, "--socket", fleetSocket],
      ...["--docker-host", `unix://${engineSocket}`, "--hostname", name],
    ];
    const own = args.map((arg) =>
      arg.replaceAll("{address}", this.address).replaceAll("{folder}", this.#lab.folder)
    );
    const argv = [...binary, "agent", ...flags, ...own];
    await this.#start("agent", argv, fleetSocket, environment, signal ? { signal } : {});
  }

  /** Asks a daemon to end and waits for it. @throws FleetError timeout when it does not */
  async stop(
    daemon: Daemon,
    signal: Deno.Signal = "SIGTERM",
    timeoutMs = STOP_TIMEOUT_MS,
  ): Promise<void> {
    const pid = this.pid(daemon);
    if (pid === undefined) return;
    signalPid(pid, signal);
    await until(`${this.name}: end of ${daemon}`, () => !isAlive(pid), timeoutMs, POLL_MS);
  }

  /** Whether a daemon was told to stand still (SIGSTOP). */
  isPaused(daemon: Daemon): boolean {
    try {
      return /^\d+ \(.*\) T/s.test(Deno.readTextFileSync(`/proc/${this.pid(daemon)}/stat`));
    } catch {
      return false;
    }
  }

  /** Sends a signal to a daemon that runs. Engine and shims that a SIGKILL orphans stay, as in life. */
  signal(daemon: Daemon, signal: Deno.Signal): void {
    const pid = this.pid(daemon);
    if (pid !== undefined) signalPid(pid, signal);
  }

  /** Engine, containerd, shims and containers at once. The agent stays. */
  async killEngine(): Promise<void> {
    const spared = new Set([this.#first(), this.pid("agent")]);
    // Shims that die do not take their containers with them: those go by their cgroup. What the first
    // process waits for it would start again at once, for ever.
    await killAll(() => [
      ...this.processes().filter((pid) => !spared.has(pid) && !isKeeper(pid)),
      ...processesInCgroup(this.layout.cgroup),
    ]);
  }

  /** All at once, as a power cut; `boot` and the starts bring the host back with what was on disk. */
  async crash(): Promise<void> {
    await killAll(() => this.processes());
    removeCgroup(this.layout.cgroup);
    await removeNamespaces([this.layout.namespace]);
    await capture(["ip", "-n", this.#lab.switchNamespace, "link", "del", this.layout.port]);
  }

  /** Runs a program inside the host's namespaces. */
  exec(argv: readonly string[], options: CaptureOptions = {}): Promise<Output> {
    return this.#inside(argv, options);
  }

  /** The same with this process's terminal and folder; resolves to the exit code. */
  async execInteractively(argv: readonly string[]): Promise<number> {
    const [command, ...args] = this.#enter(["env", "-C", Deno.cwd(), "--", ...argv]);
    const { code } = await new Deno.Command(command!, {
      args,
      env: this.#environment(),
      clearEnv: true,
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    return code;
  }

  /** Takes the host off the lab's network, or puts it back. */
  async link(state: "up" | "down"): Promise<void> {
    await setPort(this.#lab, this.layout, state);
  }

  /** The pid, as the machine sees it, of a daemon that runs. */
  pid(daemon: Daemon): number | undefined {
    try {
      const inner = Number(Deno.readTextFileSync(`${this.layout.folder}/${daemon}.pid`));
      const pid = findInner(this.layout.namespace, inner);
      return pid !== undefined && isAlive(pid) && isRole(pid, daemon) ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  async log(daemon: Daemon): Promise<string> {
    return await Deno.readTextFile(`${this.layout.folder}/${daemon}.log`).catch(() => "");
  }

  /** The processes in the host's network namespace: all but those of containers. */
  processes(): number[] {
    const link = namespaceLink(this.layout.namespace);
    return link === undefined ? [] : processesInside(new Set([link]));
  }

  /** Whether the host is booted. */
  isUp(): boolean {
    return this.#first() !== undefined;
  }

  #first(): number | undefined {
    return findInner(this.layout.namespace, 1);
  }

  #enter(argv: readonly string[]): string[] {
    const pid = this.#first();
    if (pid === undefined) {
      throw new FleetError(
        "unavailable",
        `${this.name} is not up: fleet lab start${nameFlag(this.#lab.name)} ${this.name}`,
      );
    }
    return ["nsenter", "-t", String(pid), "-n", "-m", "-u", "-i", "-p", "--", ...argv];
  }

  async #inside(argv: readonly string[], options: CaptureOptions = {}): Promise<Output> {
    const env = { ...this.#environment(), ...options.env };
    return await capture(this.#enter(argv), { ...options, env, clearEnv: true });
  }

  /** What `fleet` and `docker` need to work on this host, also an agent that `fleet init` starts. */
  #environment(): Record<string, string> {
    const { dataDir, fleetSocket, engineSocket, name } = this.layout;
    return hostEnvironment(this.#lab, {
      ...this.env(),
      FLEET_DATA_DIR: dataDir,
      FLEET_SOCKET: fleetSocket,
      FLEET_DOCKER_HOST: `unix://${engineSocket}`,
      FLEET_HOSTNAME: name,
    });
  }

  /** Starts a daemon that outlives us, with its pid in a file and its output in another. */
  async #start(
    daemon: Daemon,
    argv: readonly string[],
    socket: string,
    environment: Readonly<Record<string, string>>,
    { signal }: { readonly signal?: AbortSignal },
  ): Promise<void> {
    const { folder } = this.layout;
    const script = 'echo $$ >"$0.pid"; exec "$@" </dev/null >>"$0.log" 2>&1';
    await must(
      this.#enter(["setsid", "-f", "/bin/sh", "-c", script, `${folder}/${daemon}`, ...argv]),
      {
        cwd: "/",
        env: { ...hostEnvironment(this.#lab, environment), [ROLE_VARIABLE]: daemon },
        clearEnv: true,
      },
    );
    let seen = false;
    let missed = 0;
    await until(
      `${this.name}: start of ${daemon}`,
      async () => {
        const pid = this.pid(daemon);
        seen ||= pid !== undefined;
        missed = pid === undefined ? missed + 1 : 0;
        if (seen && missed >= ENDED_LOOKS) {
          const log = (await this.log(daemon)).slice(-LOG_TAIL);
          throw new FleetError("unavailable", `${this.name}: ${daemon} ended:\n${log}`);
        }
        return await answers(socket);
      },
      START_TIMEOUT_MS,
      POLL_MS,
      signal,
    );
  }
}

/** Tells the daemons of a host from a later process with the same pid. */
const ROLE_VARIABLE = "FLEET_LAB_ROLE";

function isRole(pid: number, daemon: Daemon): boolean {
  return hasInEnvironment(pid, `${ROLE_VARIABLE}=${daemon}`);
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text.split("\n")[0]!;
}

/** Whether somebody accepts on the socket and answers a ping. */
async function answers(socket: string): Promise<boolean> {
  try {
    using connection = await Deno.connect({ transport: "unix", path: socket });
    await connection.write(
      new TextEncoder().encode("GET /_ping HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"),
    );
    const buffer = new Uint8Array(64);
    const count = await connection.read(buffer) ?? 0;
    return new TextDecoder().decode(buffer.subarray(0, count)).startsWith("HTTP/1.1 200");
  } catch {
    return false;
  }
}

/** Whether this is the sleep that a host's first process waits for. */
function isKeeper(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`) === "sleep\0infinity\0";
  } catch {
    return false;
  }
}
