import { FleetError, messageOf } from "../../base/errors.ts";
import { LabHost } from "./host.ts";
import { busyboxImage } from "./image.ts";
import { checkLabName, hostLayout, labLayout, MAX_HOSTS, stateFolder } from "./layout.ts";
import type { LabLayout } from "./layout.ts";
import { capture, must } from "./process.ts";

/** Labs that one machine can hold at once: what the address range gives. */
const MAX_LABS = 200;

interface LabState {
  readonly slot: number;
  readonly hosts: number;
  readonly binary: readonly string[];
}

export interface LabOptions {
  readonly name: string;
  readonly hosts: number;
  /** The command of the agent; without it only engines start. */
  readonly binary?: readonly string[];
  readonly agentArgs?: readonly string[];
  readonly onProgress?: (line: string) => void;
}

/** Several Docker hosts on this machine. Everything about them is on disk, so that any process can end them. */
export class Lab {
  readonly layout: LabLayout;
  readonly hosts: readonly LabHost[];
  readonly binary: readonly string[];
  readonly #slot: number;

  private constructor(name: string, state: LabState) {
    this.layout = labLayout(name, state.slot);
    this.binary = state.binary;
    this.#slot = state.slot;
    this.hosts = Array.from(
      { length: state.hosts },
      (_, i) => new LabHost(this.layout, hostLayout(this.layout, state.slot, i + 1)),
    );
  }

  get name(): string {
    return this.layout.name;
  }

  /** @throws FleetError not-found */
  host(name: string): LabHost {
    const found = this.hosts.find((host) => host.name === name);
    if (!found) {
      throw new FleetError(
        "not-found",
        `lab ${this.name} has no host "${name}"; it has ${
          this.hosts.map((h) => h.name).join(", ")
        }`,
      );
    }
    return found;
  }

  /** Builds a lab. When anything fails, nothing is left behind. */
  static async up(options: LabOptions): Promise<Lab> {
    checkLabName(options.name);
    if (!Number.isInteger(options.hosts) || options.hosts < 1 || options.hosts > MAX_HOSTS) {
      throw new FleetError("invalid", `a lab has 1 to ${MAX_HOSTS} hosts, not ${options.hosts}`);
    }
    await requireTools();
    const lab = new Lab(options.name, await claim(options));
    try {
      await lab.#build(options);
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** @throws FleetError not-found */
  static open(name: string): Lab {
    checkLabName(name);
    try {
      return new Lab(
        name,
        JSON.parse(Deno.readTextFileSync(`${stateFolder()}/${name}/lab.json`)) as LabState,
      );
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw new FleetError(
          "not-found",
          `there is no lab "${name}"; fleet lab up --name ${name} makes one`,
        );
      }
      throw error;
    }
  }

  static exists(name: string): boolean {
    try {
      return Deno.statSync(`${stateFolder()}/${name}`).isDirectory;
    } catch {
      return false;
    }
  }

  /** Names of the labs of this machine, sorted. */
  static list(): string[] {
    try {
      return [...Deno.readDirSync(stateFolder())].filter((entry) =>
        entry.isDirectory && !entry.name.startsWith(".")
      )
        .map((entry) => entry.name).sort();
    } catch {
      return [];
    }
  }

  async #build(options: LabOptions): Promise<void> {
    const { bridge, gateway, folder } = this.layout;
    await capture(["ip", "link", "del", bridge]);
    await must(["ip", "link", "add", bridge, "type", "bridge"]);
    await must(["ip", "addr", "add", `${gateway}/24`, "dev", bridge]);
    await must(["ip", "link", "set", bridge, "up"]);
    // Otherwise an engine on the machine itself makes this bridge drop what is not its own.
    await Deno.writeTextFile("/proc/sys/net/bridge/bridge-nf-call-iptables", "0").catch(() => {});
    for (const host of this.hosts) await host.create();
    const image = await busyboxImage(folder);
    await settleAll(this.hosts.map(async (host) => {
      await host.startEngine();
      options.onProgress?.(`${host.name}: engine is up at ${host.address}`);
      const { code, stderr } = await host.docker(["import", image, "busybox:latest"]);
      if (code !== 0) {
        throw new FleetError("internal", `${host.name}: cannot load the image: ${stderr}`);
      }
      if (options.binary) {
        await host.startAgent(options.binary, options.agentArgs ?? []);
        options.onProgress?.(`${host.name}: agent is up`);
      }
    }));
    await Deno.remove(image);
  }

  /** Ends and removes everything; also what an earlier crash left. */
  async down(): Promise<void> {
    await settleAll(this.hosts.map((host) => host.destroy()));
    await capture(["ip", "link", "del", this.layout.bridge]);
    await Deno.remove(this.layout.folder, { recursive: true }).catch(async (error: unknown) => {
      if (error instanceof Deno.errors.NotFound) return;
      await must(["rm", "-rf", "--one-file-system", this.layout.folder]);
    });
    await Deno.remove(`${stateFolder()}/.slots/${this.#slot}`).catch(() => {});
    await removeIfEmpty(`${stateFolder()}/.slots`);
    await removeIfEmpty(stateFolder());
  }
}

/** Reserves name and number, atomically against other starts. */
async function claim(options: LabOptions): Promise<LabState> {
  const root = stateFolder();
  await Deno.mkdir(`${root}/.slots`, { recursive: true, mode: 0o755 });
  try {
    await Deno.mkdir(`${root}/${options.name}`, { mode: 0o711 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new FleetError(
      "conflict",
      `lab ${options.name} exists already; fleet lab down --name ${options.name} removes it`,
    );
  }
  for (let slot = 0; slot < MAX_LABS; slot++) {
    try {
      await Deno.writeTextFile(`${root}/.slots/${slot}`, options.name, { createNew: true });
    } catch {
      continue;
    }
    const state = { slot, hosts: options.hosts, binary: options.binary ?? [] };
    await Deno.writeTextFile(`${root}/${options.name}/lab.json`, JSON.stringify(state));
    return state;
  }
  throw new FleetError("unavailable", `this machine has ${MAX_LABS} labs already; remove some`);
}

const TOOLS: readonly (readonly [string, string])[] = [
  ["dockerd", "docker.io"],
  ["docker", "docker.io"],
  ["iptables", "iptables"],
  ["ip", "iproute2"],
  ["nsenter", "util-linux"],
  ["busybox", "busybox-static"],
];

async function requireTools(): Promise<void> {
  if (Deno.uid() !== 0) {
    throw new FleetError(
      "forbidden",
      "a lab makes network namespaces and starts engines: run it as root",
    );
  }
  const missing: string[] = [];
  for (const [program, name] of TOOLS) {
    const { code } = await capture(["/bin/sh", "-c", 'command -v "$1" >/dev/null', "sh", program]);
    if (code !== 0) missing.push(`${program} (Debian package ${name})`);
  }
  if (missing.length > 0) {
    throw new FleetError("unavailable", `a lab needs ${missing.join(", ")}; install it first`);
  }
}

async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).filter((result) => result.status === "rejected");
  if (failed.length > 0) {
    throw new FleetError("internal", failed.map((result) => messageOf(result.reason)).join("\n"));
  }
}

async function removeIfEmpty(folder: string): Promise<void> {
  await Deno.remove(folder).catch(() => {});
}
