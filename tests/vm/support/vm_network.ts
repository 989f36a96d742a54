import { capture, isAlive, must } from "../../../src/adapters/lab_hosts/process.ts";
import type { CaptureOptions, Output } from "../../../src/adapters/lab_hosts/process.ts";

/** Names of namespaces and temporary folders begin so, followed by the process that made them. */
export const VM_PREFIX = "fleet-vm-";

/**
 * A cable between virtual machines: a bridge in a network namespace of its own, which is also the
 * place of clients and servers that are no machine. Nothing leads out of it.
 */
export class VmNetwork {
  readonly #name: string;
  /** The namespace's own address. */
  readonly gateway = "10.88.0.254";

  private constructor(name: string) {
    this.#name = name;
  }

  static async create(): Promise<VmNetwork> {
    await removeLeftovers();
    const network = new VmNetwork(`${VM_PREFIX}${Deno.pid}`);
    await must(["ip", "netns", "add", network.#name]);
    await network.must("ip link set lo up");
    await network.must("ip link add cable type bridge && ip link set cable up");
    await network.must(`ip address add ${network.gateway}/24 dev cable`);
    return network;
  }

  address(index: number): string {
    return `10.88.0.${index}`;
  }

  mac(index: number): string {
    return `52:54:00:88:00:${index.toString(16).padStart(2, "0")}`;
  }

  /** The command line that runs `argv` in this network. */
  enter(argv: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.#name, ...argv];
  }

  /** Makes the network device of a machine. */
  async plug(index: number): Promise<string> {
    const tap = `tap${index}`;
    await this.must(
      `ip tuntap add dev ${tap} mode tap && ip link set ${tap} master cable && ip link set ${tap} up`,
    );
    return tap;
  }

  async unplug(index: number): Promise<void> {
    await this.must(`ip link del tap${index}`);
  }

  /** Runs a shell script as a client on the cable; never throws for its exit code. */
  async run(script: string, options: CaptureOptions = {}): Promise<Output> {
    return await capture(this.enter(["sh", "-c", script]), options);
  }

  async must(script: string, options: CaptureOptions = {}): Promise<string> {
    return await must(this.enter(["sh", "-c", script]), options);
  }

  async remove(): Promise<void> {
    await must(["ip", "netns", "del", this.#name]);
  }
}

/** Of runs whose process has died. */
async function removeLeftovers(): Promise<void> {
  const listed = await must(["ip", "netns", "list"]);
  for (const [name, pid] of listed.matchAll(new RegExp(`^${VM_PREFIX}(\\d+)`, "gm"))) {
    if (!isAlive(Number(pid))) await must(["ip", "netns", "del", name]);
  }
  const folder = Deno.env.get("TMPDIR") ?? "/tmp";
  for await (const { name } of Deno.readDir(folder)) {
    const pid = new RegExp(`^${VM_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) await Deno.remove(`${folder}/${name}`, { recursive: true });
  }
}
