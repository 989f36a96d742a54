import { FleetError } from "../../base/errors.ts";
import { killAll, processesOf, removeCgroup } from "./leftovers.ts";
import type { HostLayout, LabLayout } from "./layout.ts";
import { capture, isAlive, must, signalPid, until } from "./process.ts";
import type { Output } from "./process.ts";

/** What runs on a host. */
export type Daemon = "holder" | "dockerd" | "agent";

/**
 * One Docker host: a network namespace with its own address, a private /run and host name, an engine
 * and an agent. A `holder` process keeps the namespaces while nothing else runs in them.
 */
export class LabHost {
  readonly layout: HostLayout;
  readonly #lab: LabLayout;

  constructor(lab: LabLayout, layout: HostLayout) {
    this.#lab = lab;
    this.layout = layout;
  }

  get name(): string {
    return this.layout.name;
  }

  get address(): string {
    return this.layout.address;
  }

  /** The environment that points both clients at this host. */
  env(): Record<string, string> {
    return {
      DOCKER_HOST: `unix://${this.layout.fleetSocket}`,
      FLEET_HOST: `unix://${this.layout.fleetSocket}`,
    };
  }

  /** Network namespace, link to the lab's bridge, holder. */
  async create(): Promise<void> {
    const { namespace, veth, address, folder, name } = this.layout;
    await Deno.mkdir(folder, { recursive: true, mode: 0o711 });
    await must(["ip", "netns", "add", namespace]);
    await must(["ip", "-batch", "-"], {
      stdin: [
        `link add ${veth} type veth peer name eth0 netns ${namespace}`,
        `link set ${veth} master ${this.#lab.bridge} up`,
      ].join("\n") + "\n",
    });
    await must(["ip", "-n", namespace, "-batch", "-"], {
      stdin: [
        `addr add ${address}/24 dev eth0`,
        "link set lo up",
        "link set eth0 up",
        `route add default via ${this.#lab.gateway}`,
      ].join("\n") + "\n",
    });
    // Without a name server that refuses at once, every image look-up waits for DNS.
    await Deno.writeTextFile(
      `${folder}/resolv.conf`,
      "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    // `ip netns exec` would hide the cgroup mounts from the engine; nsenter does not.
    const script = [
      "set -e",
      `hostname ${name}`,
      "mount --make-rprivate /",
      "mount -t tmpfs -o mode=0755 run /run",
      `mount --bind ${folder}/resolv.conf /etc/resolv.conf`,
      "exec sleep infinity",
    ].join("; ");
    await this.#spawn("holder", [
      "nsenter",
      `--net=/run/netns/${namespace}`,
      "unshare",
      "-m",
      "-u",
      "sh",
      "-c",
      script,
    ]);
    await until(`${name}: namespaces`, async () => {
      const pid = this.pid("holder");
      if (pid === undefined) {
        throw new FleetError("internal", `${name}: ${await this.log("holder")}`);
      }
      const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      return command.startsWith("sleep");
    });
  }

  async startEngine(): Promise<void> {
    const { folder, engineSocket, engineSubnet, cgroup } = this.layout;
    for (const stale of [`${folder}/dockerd.pid.engine`, engineSocket]) {
      await Deno.remove(stale).catch(() => {});
    }
    await this.#spawn("dockerd", [
      ...this.#inside(),
      "dockerd",
      "--data-root",
      `${folder}/docker`,
      "--exec-root",
      `${folder}/exec`,
      "--pidfile",
      `${folder}/dockerd.pid.engine`,
      "-H",
      `unix://${engineSocket}`,
      "--bip",
      engineSubnet,
      "--cgroup-parent",
      cgroup,
    ]);
    await until(`${this.name}: engine`, async () => {
      if (this.pid("dockerd") === undefined) {
        throw new FleetError(
          "unavailable",
          `${this.name}: the engine ended:\n${await this.log("dockerd")}`,
        );
      }
      return (await this.docker(["version", "--format", "x"])).code === 0;
    }, 40_000);
  }

  /** The client against the engine itself, not through fleet. */
  docker(args: readonly string[], options: Parameters<typeof capture>[1] = {}): Promise<Output> {
    return capture(["docker", "-H", `unix://${this.layout.engineSocket}`, ...args], options);
  }

  async startAgent(
    binary: readonly string[],
    extra: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const { fleetSocket, engineSocket, dataDir, name } = this.layout;
    await this.#spawn("agent", [
      ...this.#inside(),
      "env",
      ...Object.entries(environment).map(([key, value]) => `${key}=${value}`),
      ...binary,
      "agent",
      "--data-dir",
      dataDir,
      "--socket",
      fleetSocket,
      "--docker-host",
      `unix://${engineSocket}`,
      "--hostname",
      name,
      ...extra,
    ]);
    await until(`${name}: agent`, async () => {
      if (this.pid("agent") === undefined) {
        throw new FleetError(
          "unavailable",
          `${name}: the agent ended:\n${await this.log("agent")}`,
        );
      }
      return await answers(fleetSocket);
    });
  }

  /** Asks a daemon to end and waits for it. */
  async stop(daemon: Daemon, signal: Deno.Signal = "SIGTERM", timeoutMs = 15_000): Promise<void> {
    const pid = this.pid(daemon);
    if (pid === undefined) return;
    signalPid(pid, signal);
    await until(`${this.name}: end of ${daemon}`, () => !isAlive(pid), timeoutMs);
  }

  /** Engine, containerd, shims and containers at once, as a power cut would. */
  async killEngine(): Promise<void> {
    const spared = new Set([this.pid("holder"), this.pid("agent")]);
    await killAll(async () => (await this.processes()).filter((pid) => !spared.has(pid)));
  }

  signal(daemon: Daemon, signal: Deno.Signal): void {
    const pid = this.pid(daemon);
    if (pid !== undefined) signalPid(pid, signal);
  }

  /** Runs a program inside the host's namespaces. */
  exec(argv: readonly string[], options: Parameters<typeof capture>[1] = {}): Promise<Output> {
    const settings = Object.entries(this.env()).map(([key, value]) => `${key}=${value}`);
    return capture([...this.#inside(), "env", ...settings, ...argv], options);
  }

  /** The same with this process's terminal; resolves to the exit code. */
  async execInteractively(argv: readonly string[]): Promise<number> {
    const [command, ...args] = [...this.#inside(), "env", ...argv];
    const { code } = await new Deno.Command(command!, {
      args,
      env: this.env(),
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    return code;
  }

  /** Takes the host off the lab's network, or puts it back. */
  async link(state: "up" | "down"): Promise<void> {
    await must(["ip", "link", "set", this.layout.veth, state]);
  }

  /** The pid of a daemon that runs. */
  pid(daemon: Daemon): number | undefined {
    try {
      const pid = Number(Deno.readTextFileSync(`${this.layout.folder}/${daemon}.pid`));
      return pid > 0 && isAlive(pid) ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  async log(daemon: Daemon): Promise<string> {
    return await Deno.readTextFile(`${this.layout.folder}/${daemon}.log`).catch(() => "");
  }

  /** Every process of this host: by network namespace, by mount namespace and by cgroup. */
  async processes(): Promise<number[]> {
    return await processesOf(this.layout);
  }

  /** Ends everything and removes what the kernel holds for this host. */
  async destroy(): Promise<void> {
    await killAll(() => this.processes());
    await removeCgroup(this.layout.cgroup);
    await capture(["ip", "link", "del", this.layout.veth]);
    await capture(["ip", "netns", "del", this.layout.namespace]);
  }

  #inside(): string[] {
    const pid = this.pid("holder");
    if (pid === undefined) {
      throw new FleetError(
        "unavailable",
        `${this.name} is not up; run fleet lab up --name ${this.#lab.name}`,
      );
    }
    return ["nsenter", "-t", String(pid), "-n", "-m", "-u", "--"];
  }

  /** Starts a daemon that outlives us, with its pid on disk before it can leak and its output in a file. */
  async #spawn(daemon: Daemon, argv: readonly string[]): Promise<void> {
    const { folder } = this.layout;
    const child = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        'echo $$ >"$1/$2.pid"; out="$1/$2.log"; shift 2; exec "$@" >>"$out" 2>&1',
        "sh",
        folder,
        daemon,
        ...argv,
      ],
      cwd: "/",
      env: { FLEET_LAB_HOST: this.layout.folder },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    child.unref();
    await until(`${this.name}: ${daemon}`, () => {
      try {
        return Deno.readTextFileSync(`${folder}/${daemon}.pid`).trim() === String(child.pid);
      } catch {
        return false;
      }
    });
  }
}

/** Whether somebody accepts on the socket and answers a ping. */
async function answers(socket: string): Promise<boolean> {
  try {
    const connection = await Deno.connect({ transport: "unix", path: socket });
    try {
      await connection.write(
        new TextEncoder().encode("GET /_ping HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"),
      );
      return (await connection.read(new Uint8Array(64)) ?? 0) > 0;
    } finally {
      connection.close();
    }
  } catch {
    return false;
  }
}
