import { killTree, must, until } from "../../../src/adapters/lab_hosts/process.ts";
import type { Output } from "../../../src/adapters/lab_hosts/process.ts";
import { channelName, CHANNELS } from "./system_image.ts";
import type { SystemImage } from "./system_image.ts";
import { VM_PREFIX } from "./vm_network.ts";
import type { VmNetwork } from "./vm_network.ts";

export interface VirtualMachineOptions {
  readonly name: string;
  readonly image: SystemImage;
  readonly network: VmNetwork;
  /** Number of the machine in its network, 1 to 250. */
  readonly index: number;
  /** A folder that the machine sees as /mnt/host, read-only. */
  readonly share: string;
  readonly memoryMb?: number;
  /** Processors; 1 unless told otherwise. */
  readonly processors?: number;
}

const DISK_BYTES = 6 * 1024 ** 3;
const BOOT_TIMEOUT_MS = 180_000;
const COMMAND_TIMEOUT_MS = 180_000;

/**
 * A machine with a stock Debian kernel, which has what the host's may lack (IPVS, ESP, dummy devices).
 * Emulated in software: some ten times slower than the host. Its disk outlives a power cut.
 */
export class VirtualMachine {
  readonly name: string;
  readonly address: string;
  readonly #options: VirtualMachineOptions;
  readonly #folder: string;
  readonly #idle: Channel[] = [];
  readonly #waiting: ((channel: Channel) => void)[] = [];
  #process: Deno.ChildProcess | undefined;
  #poweredOnAt = 0;

  private constructor(options: VirtualMachineOptions, folder: string) {
    this.name = options.name;
    this.address = options.network.address(options.index);
    this.#options = options;
    this.#folder = folder;
  }

  static async create(options: VirtualMachineOptions): Promise<VirtualMachine> {
    const folder = await Deno.makeTempDir({ prefix: `${VM_PREFIX}${Deno.pid}-` });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    if (options.image.disk) await makeDisk(`${folder}/disk`);
    const machine = new VirtualMachine(options, folder);
    // Also of one that did not come up in time.
    stack.defer(() => machine.powerOff());
    await machine.powerOn();
    stack.move();
    return machine;
  }

  /** Boots; resolves when commands can be run, which is before services are up. */
  async powerOn(): Promise<void> {
    const { image, network, index, share, memoryMb = 1536, processors = 1 } = this.#options;
    const tap = await network.plug(index);
    const folder = this.#folder;
    const shared = (path: string, tag: string) => [
      "-virtfs",
      `local,path=${path},mount_tag=${tag},security_model=none,readonly=on,multidevs=remap`,
    ];
    const channels = Array.from({ length: CHANNELS }, (_, i) => channelName(i)).flatMap((name) => [
      ...["-chardev", `socket,id=${name},path=${folder}/${name},server=on,wait=off`],
      ...["-device", `virtserialport,chardev=${name},name=${name}`],
    ]);
    const qemu = [
      ...[
        "qemu-system-x86_64",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        `${processors}`,
      ],
      ...["-m", `${memoryMb}`, "-display", "none", "-nodefaults", "-no-user-config"],
      ...["-serial", `file:${folder}/console`, "-kernel", image.kernel, "-initrd", image.initrd],
      // An emulated processor guesses nothing that would have to be kept secret.
      ...["-append", `console=ttyS0 panic=1 quiet mitigations=off systemd.hostname=${this.name}`],
      ...(image.disk ? ["-drive", `file=${folder}/disk,if=virtio,format=raw,cache=unsafe`] : []),
      ...shared(image.root, "root"),
      ...shared(image.modules, "modules"),
      ...shared(share, "host"),
      ...["-netdev", `tap,id=net0,ifname=${tap},script=no,downscript=no`],
      ...["-device", `virtio-net-pci,netdev=net0,mac=${network.mac(index)}`],
      ...["-device", "virtio-rng-pci", "-device", "virtio-serial-pci", ...channels],
    ];
    this.#poweredOnAt = performance.now();
    // The machine ends when the pipe is closed: by us, or because we have died.
    this.#process = new Deno.Command("sh", {
      args: ["-c", '"$@" </dev/null & read -r _; kill -9 $!; wait', "sh", ...network.enter(qemu)],
      stdin: "piped",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    for (let i = 0; i < CHANNELS; i++) {
      const path = `${folder}/${channelName(i)}`;
      await until(`${this.name}: started`, () => connects(path), 20_000);
      this.#release(new Channel(await Deno.connect({ transport: "unix", path })));
    }
    const set = await this.run(
      `ip link set eth0 up 2>/dev/null || { ip link set "$(ls /sys/class/net | grep -m1 '^en')" name eth0 && ip link set eth0 up; }
       ip address add ${this.address}/24 dev eth0 && ip route add default via ${network.gateway}`,
      { timeoutMs: BOOT_TIMEOUT_MS },
    );
    if (set.code !== 0) throw new Error(`${this.name}: no network: ${set.stderr}`);
  }

  /** Seconds. */
  sincePowerOn(): number {
    return (performance.now() - this.#poweredOnAt) / 1000;
  }

  /** Pulls the plug: nothing is written to disk any more. */
  async powerOff(): Promise<void> {
    for (const channel of this.#idle.splice(0)) channel.close();
    const process = this.#process;
    this.#process = undefined;
    if (!process) return;
    killTree(process.pid);
    await process.stdin.close().catch(() => {});
    await process.status;
    await this.#options.network.unplug(this.#options.index);
    for (let i = 0; i < CHANNELS; i++) {
      await Deno.remove(`${this.#folder}/${channelName(i)}`).catch(() => {});
    }
  }

  /** Runs a shell script as root; never throws for its exit code. At most four at a time. */
  async run(script: string, options: { timeoutMs?: number } = {}): Promise<Output> {
    const channel = this.#idle.pop() ??
      await new Promise<Channel>((resolve) => this.#waiting.push(resolve));
    const { timeoutMs = COMMAND_TIMEOUT_MS } = options;
    const output = await channel.run(script, timeoutMs);
    if (!output) throw new Error(`${this.name}: no answer within ${timeoutMs / 1000} s: ${script}`);
    this.#release(channel);
    return output;
  }

  /** The output of a script that must succeed. */
  async must(script: string, options: { timeoutMs?: number } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(script, options);
    if (code === 0) return stdout;
    throw new Error(`${this.name}: ${script}: exit code ${code}: ${stdout}${stderr}`);
  }

  /** Waits until a script succeeds, which is asked again by the machine itself. */
  async until(script: string, timeoutMs = 60_000): Promise<void> {
    const { code, stdout, stderr } = await this.run(
      `i=0; until { ${script}\n} >/run/until.$$ 2>&1; do
         i=$((i + 1)); [ $i -lt ${Math.ceil(timeoutMs / 200)} ] || { cat /run/until.$$; exit 1; }
         sleep 0.2
       done`,
      { timeoutMs: timeoutMs * 2 },
    );
    if (code !== 0) throw new Error(`${this.name}: never true: ${script}: ${stdout}${stderr}`);
  }

  /** What the kernel said. */
  async console(): Promise<string> {
    return await Deno.readTextFile(`${this.#folder}/console`);
  }

  async remove(): Promise<void> {
    await this.powerOff();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #release(channel: Channel): void {
    const next = this.#waiting.shift();
    if (next) next(channel);
    else this.#idle.push(channel);
  }
}

async function makeDisk(path: string): Promise<void> {
  const disk = await Deno.create(path);
  await disk.truncate(DISK_BYTES);
  disk.close();
  // With a journal: without one a power cut leaves the engine's own database in pieces.
  await must(["mkfs.ext4", "-q", path]);
}

async function connects(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** One line each way: the script in base64, then `code:stdout:stderr`. */
class Channel {
  readonly #connection: Deno.UnixConn;

  constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  /** Undefined when no answer came in time; the channel is then of no more use. */
  async run(script: string, timeoutMs: number): Promise<Output | undefined> {
    const timer = setTimeout(() => this.close(), timeoutMs);
    try {
      let line = new TextEncoder().encode(`${encode(script)}\n`);
      while (line.length > 0) line = line.subarray(await this.#connection.write(line));
      const [code, stdout, stderr] = (await this.#line()).split(":");
      return { code: Number(code), stdout: decode(stdout!), stderr: decode(stderr!) };
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
        return undefined;
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    try {
      this.#connection.close();
    } catch { /* It is closed already. */ }
  }

  async #line(): Promise<string> {
    const parts: Uint8Array[] = [];
    for (;;) {
      const part = new Uint8Array(64 * 1024);
      const count = await this.#connection.read(part);
      if (count === null) throw new Deno.errors.BadResource("the machine has ended");
      parts.push(part.subarray(0, count));
      if (part[count - 1] === 10) break;
    }
    return (await new Blob(parts as BlobPart[]).text()).trimEnd();
  }
}

const encode = (text: string) => new TextEncoder().encode(text).toBase64();
const decode = (text: string) => new TextDecoder().decode(Uint8Array.fromBase64(text));
