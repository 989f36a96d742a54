import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { MeshKind } from "../../core/network/balancer.ts";
import { ipvsLine, parseIpvs, planIpvs } from "../../core/network/ipvs.ts";
import type { IpvsService } from "../../core/network/ipvs.ts";
import { runTool } from "./run_tool.ts";

const NO_TOOL =
  "the mesh needs the program ipvsadm for IPVS: install the package ipvsadm, or start the agent with --mesh-backend nftables";
const NO_MODULE =
  "the kernel has no IPVS: load the modules ip_vs and ip_vs_rr (modprobe -a ip_vs ip_vs_rr), or start the agent with --mesh-backend nftables";

/**
 * Settings of IPVS in this network namespace. Replies of what it balances go through conntrack, so that
 * sources can be translated; packets for a task that is gone end their connection at once; a port that a
 * client uses again is balanced again. Before Linux 5.9 that drops the first packet of the new connection
 * when there is conntrack, so that the client waits a second (moby#35082): such kernels do not, as those of
 * kube-proxy.
 *
 * @param release of the kernel, as `uname -r` says
 */
export function ipvsSettings(release: string): Readonly<Record<string, string>> {
  const [major = 0, minor = 0] = release.split(".").map((part) => parseInt(part) || 0);
  return {
    conntrack: "1",
    expire_nodest_conn: "1",
    expire_quiescent_template: "1",
    conn_reuse_mode: major > 5 || (major === 5 && minor >= 9) ? "1" : "0",
  };
}
/**
 * For how long IPVS remembers a TCP connection on which nothing is said, in s: the kernel's own time, and as
 * long as conntrack remembers it. After 15 minutes it hung or was reset under applications that keep idle
 * connections, the databases' pools first (moby#31208).
 */
const IDLE_S = { kernels: 900, ours: 432_000 };
const SETTINGS_FOLDER = "/proc/sys/net/ipv4/vs";
/** Looks and changes before a difference that does not go away is an error. */
const MAX_ATTEMPTS = 3;

export interface IpvsHostOptions {
  /** `auto`: IPVS where the kernel has it and its tool is installed. */
  readonly backend: "auto" | MeshKind;
  readonly logger: Logger;
  /** Where the kernel has its settings of IPVS. */
  readonly settings?: string;
}

/** IPVS of this machine, by `ipvsadm`; knows whether to use it at all. */
export class IpvsHost {
  readonly #options: IpvsHostOptions;
  #told: string | undefined;

  constructor(options: IpvsHostOptions) {
    this.#options = options;
  }

  /**
   * What the kernel holds; undefined when nftables shall balance.
   * @throws FleetError unavailable when IPVS was asked for and cannot be had
   */
  async observe(signal: AbortSignal): Promise<IpvsService[] | undefined> {
    const { backend } = this.#options;
    if (backend === "nftables") {
      if (this.#told === undefined) await this.#clean(signal);
      return this.#use("nftables", "as the agent was told");
    }
    try {
      const services = await this.#list(signal);
      await prepare(this.#options.settings ?? SETTINGS_FOLDER);
      await keepIdleConnections(signal);
      this.#use("ipvs", "the kernel has IPVS");
      return services;
    } catch (error) {
      signal.throwIfAborted();
      if (backend === "ipvs") throw error;
      return this.#use("nftables", messageOf(error));
    }
  }

  /**
   * Makes the kernel hold `desired` beside whatever others put there; what it holds then. What fails
   * half-way is looked at and continued.
   * @throws FleetError internal, with the tool's reason, when differences stay
   */
  async apply(desired: readonly IpvsService[], signal: AbortSignal): Promise<IpvsService[]> {
    let reason = "";
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const observed = await this.#list(signal);
      const lines = planIpvs(desired, observed).map(ipvsLine);
      if (lines.length === 0) return observed;
      const script = lines.join("\n") + "\n";
      const { stderr } = await runTool(["ipvsadm", "-R"], signal, script);
      reason = stderr.trim().split("\n")[0] || `${lines.length} differences stay, as ${lines[0]}`;
    }
    const left = planIpvs(desired, await this.#list(signal));
    if (left.length === 0) return await this.#list(signal);
    throw new FleetError("internal", `ipvsadm -R: ${reason}`);
  }

  /** An agent that used IPVS may have been here before. */
  async #clean(signal: AbortSignal): Promise<void> {
    const loaded = await Deno.stat("/proc/net/ip_vs").then(() => true, () => false);
    if (loaded) await this.apply([], signal).catch(() => {});
  }

  async #list(signal: AbortSignal): Promise<IpvsService[]> {
    const first = await this.#save(signal);
    if (first.success) return parseIpvs(first.stdout);
    // Not loaded yet, or not any more.
    await runTool(["modprobe", "-a", "ip_vs", "ip_vs_rr"], signal).catch(() => undefined);
    const { success, stdout } = await this.#save(signal);
    if (!success) throw new FleetError("unavailable", NO_MODULE);
    return parseIpvs(stdout);
  }

  async #save(signal: AbortSignal) {
    try {
      const output = await runTool(["ipvsadm", "-Sn"], signal);
      // Without the module it prints nothing but says so, and succeeds in some versions.
      const failed = /Can't initialize ipvs|Protocol not available/i.test(output.stderr);
      return { ...output, success: output.success && !failed };
    } catch (error) {
      if (error instanceof FleetError && error.kind === "unavailable") {
        throw new FleetError("unavailable", NO_TOOL);
      }
      throw error;
    }
  }

  #use(kind: MeshKind, reason: string): undefined {
    if (this.#told !== kind) {
      this.#options.logger.log("info", `published ports are balanced by ${kind}`, { reason });
    }
    this.#told = kind;
    return undefined;
  }
}

async function prepare(folder: string): Promise<void> {
  for (const [name, value] of Object.entries(ipvsSettings(Deno.osRelease()))) {
    const path = `${folder}/${name}`;
    try {
      const text = await Deno.readTextFile(path);
      if (text.trim() !== value) await Deno.writeTextFile(path, value);
    } catch (error) {
      // Older kernels do not have all of them; without the first nothing works.
      if (name === "conntrack") {
        throw new FleetError("unavailable", `IPVS without ${path}: ${messageOf(error)}`);
      }
    }
  }
}

/** What somebody else chose stays. */
async function keepIdleConnections(signal: AbortSignal): Promise<void> {
  const { stdout } = await runTool(["ipvsadm", "-l", "--timeout"], signal);
  if (Number(/\): (\d+) /.exec(stdout)?.[1]) !== IDLE_S.kernels) return;
  // 0 leaves the others as they are.
  await runTool(["ipvsadm", "--set", String(IDLE_S.ours), "0", "0"], signal);
}
