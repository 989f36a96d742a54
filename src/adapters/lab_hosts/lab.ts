import { FleetError, kindOf, messageOf } from "../../base/errors.ts";
import { writeFleetCommand } from "./boot.ts";
import { LabHost } from "./host.ts";
import { busyboxImage } from "./image.ts";
import { checkFolder, checkLabName, hostLayout, labLayout, MAX_HOSTS, nameFlag } from "./layout.ts";
import type { LabLayout } from "./layout.ts";
import { anythingLeft, removeEverything } from "./leftovers.ts";
import { requireTools } from "./requirements.ts";
import { claim, labNames, readState, withLab } from "./state.ts";
import type { LabState } from "./state.ts";
import { createSwitch, cuts, impair, separate } from "./switch.ts";

/** A lab that exists is not waited for. */
const UP_LOCK_TIMEOUT_MS = 500;

export interface LabOptions {
  readonly name: string;
  readonly hosts: number;
  /** The command of the agent; without it only engines start. */
  readonly binary?: readonly string[];
  /** More arguments of `fleet agent`; `{address}` stands for the host's, `{folder}` for the lab's folder. */
  readonly agentArgs?: readonly string[];
  /** Files for the lab's folder, by their names, made when its hosts' addresses are known; for root alone. */
  readonly files?: (addresses: readonly string[]) => Promise<Readonly<Record<string, string>>>;
  /** More settings of every engine's `daemon.json`. */
  readonly engineSettings?: Readonly<Record<string, unknown>>;
  readonly onProgress?: (line: string) => void;
  /** Gives up, and leaves nothing. */
  readonly signal?: AbortSignal;
}

/**
 * Several Docker hosts on this machine. What the kernel holds for a lab can be found by the lab's name,
 * so that any process can remove it, whatever became of its maker.
 */
export class Lab {
  readonly layout: LabLayout;
  readonly hosts: readonly LabHost[];
  readonly binary: readonly string[];

  private constructor(name: string, state: LabState) {
    this.layout = labLayout(name, state.slot);
    this.binary = state.binary;
    const layouts = Array.from(
      { length: state.hosts },
      (_, i) => hostLayout(this.layout, state.slot, i + 1),
    );
    const agent = { binary: state.binary, args: state.agentArgs };
    this.hosts = layouts.map((layout) => new LabHost(this.layout, layout, layouts, agent));
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

  /** Builds a lab. When anything fails, nothing is left behind. @throws FleetError */
  static async up(options: LabOptions): Promise<Lab> {
    const { name, hosts } = options;
    checkLabName(name);
    checkFolder(name);
    if (!Number.isInteger(hosts) || hosts < 1 || hosts > MAX_HOSTS) {
      throw new FleetError("invalid", `a lab has 1 to ${MAX_HOSTS} hosts, not ${hosts}`);
    }
    await requireTools();
    return await withLab(name, async () => {
      if (await anythingLeft(name)) {
        throw new FleetError(
          "conflict",
          `lab ${name} exists already; fleet lab down${nameFlag(name)} removes it`,
        );
      }
      try {
        return await Lab.#build(options);
      } catch (error) {
        await removeEverything(name);
        throw error;
      }
    }, UP_LOCK_TIMEOUT_MS);
  }

  /** @throws FleetError not-found, corrupt */
  static open(name: string): Lab {
    checkLabName(name);
    return new Lab(name, readState(name));
  }

  static exists(name: string): boolean {
    return labNames().includes(name);
  }

  /** Names of the labs of this machine, sorted. */
  static list(): string[] {
    return labNames();
  }

  /**
   * Ends and removes all of a lab, also what is left of one whose maker was killed. Resolves to whether
   * there was anything. @throws FleetError conflict while another process makes it
   */
  static async remove(name: string): Promise<boolean> {
    checkLabName(name);
    await requireTools();
    return await withLab(name, async () => {
      const found = await anythingLeft(name);
      if (found) await removeEverything(name);
      return found;
    });
  }

  /** Drops every frame between two hosts, silently, in both directions. */
  async cut(a: string, b: string): Promise<void> {
    if (a === b) throw new FleetError("invalid", `${a} always hears itself: name two hosts`);
    await separate(this.layout, [this.host(a).layout, this.host(b).layout], true);
  }

  async heal(a: string, b: string): Promise<void> {
    await separate(this.layout, [this.host(a).layout, this.host(b).layout], false);
  }

  /** Pairs of hosts that do not hear each other, and hosts that are off the network. */
  async cuts(): Promise<readonly (readonly string[])[]> {
    return await cuts(this.layout, this.hosts.map(({ layout }) => layout));
  }

  /** Delay and loss on the cable to a host; zeros make it whole. @throws FleetError unavailable */
  async impair(host: string, link: { delayMs: number; lossPercent: number }): Promise<void> {
    await impair(this.layout, this.host(host).layout, link);
  }

  /** Ends and removes everything. */
  async down(): Promise<void> {
    await Lab.remove(this.name);
  }

  static async #build(options: LabOptions): Promise<Lab> {
    const { name, hosts, binary = [], agentArgs = [], engineSettings, signal } = options;
    const state = await claim(
      name,
      { hosts, binary, agentArgs },
      ({ slot }) => createSwitch(labLayout(name, slot)),
    );
    const lab = new Lab(name, state);
    if (binary.length > 0) await writeFleetCommand(lab.layout, binary);
    const files = await options.files?.(lab.hosts.map(({ address }) => address)) ?? {};
    for (const [file, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${lab.layout.folder}/${file}`, text, { mode: 0o600 });
    }
    const image = busyboxImage();
    await settleAll([
      image,
      ...lab.hosts.map(async (host) => {
        await host.boot(signal);
        await host.startEngine({
          ...(engineSettings ? { settings: engineSettings } : {}),
          ...(signal ? { signal } : {}),
        });
        options.onProgress?.(`${host.name}: engine is up at ${host.address}`);
        await host.loadImage(await image);
        signal?.throwIfAborted();
        if (binary.length === 0) return;
        await host.startAgent(binary, agentArgs, {}, signal);
        options.onProgress?.(`${host.name}: agent is up`);
      }),
    ]);
    return lab;
  }
}

/** Waits for all, so that nothing goes on while what failed is removed. */
async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).filter((result) => result.status === "rejected");
  const first: unknown = failed[0]?.reason;
  if (failed.length === 0) return;
  if (kindOf(first) === "canceled") throw first;
  const messages = new Set(failed.map((result) => messageOf(result.reason)));
  throw new FleetError("internal", [...messages].join("\n"));
}
