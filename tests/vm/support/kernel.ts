import { capture, must } from "../../../src/adapters/lab_hosts/process.ts";

/** Needed before the root is there; all others are loaded from it. */
const EARLY_MODULES = [
  ...["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng"],
  ...["9pnet_virtio", "9p", "ext4", "crc32c_generic", "overlay"],
];
const DOWNLOAD_TIMEOUT_MS = 300_000;

export const releaseOf = (kernelPackage: string) => kernelPackage.replace("linux-image-", "");

export async function newestKernelPackage(): Promise<string> {
  const depends = async () =>
    /Depends: (linux-image-\S+)/.exec(
      (await capture(["apt-cache", "depends", "linux-image-amd64"])).stdout,
    )?.[1];
  // A machine that lacked no package has perhaps no lists.
  const name = await depends() ??
    (await capture(["apt-get", "update", "-qq"], { timeoutMs: DOWNLOAD_TIMEOUT_MS }),
      await depends());
  if (Deno.build.arch !== "x86_64" || !name) {
    throw new Error("virtual machines need Debian's linux-image-amd64: apt-get update, on x86-64");
  }
  return name;
}

/** The package's files in `folder`/kernel. */
export async function unpackKernel(name: string, folder: string): Promise<void> {
  const timeoutMs = DOWNLOAD_TIMEOUT_MS;
  await must(["apt-get", "-q", "download", name], { cwd: folder, timeoutMs });
  await must(["sh", "-c", `dpkg -x ${name}_*.deb kernel && rm ${name}_*.deb`], { cwd: folder });
  await must(["depmod", "-b", `${folder}/kernel`, releaseOf(name)], { timeoutMs });
}

/** A first root in memory as `file`: busybox, the drivers in the order to load them, and `init`. */
export async function packInitrd(
  { folder: cache, release, file, init }: {
    readonly folder: string;
    readonly release: string;
    readonly file: string;
    readonly init: string;
  },
): Promise<void> {
  const folder = `${cache}/initrd`;
  await Deno.mkdir(`${folder}/bin`, { recursive: true });
  await Deno.mkdir(`${folder}/modules`);
  const order: string[] = [];
  for (const module of EARLY_MODULES) {
    const needed = await must([
      ...["modprobe", "-d", `${cache}/kernel`, "-S", release, "--show-depends", module],
    ]);
    for (const [, path] of needed.matchAll(/^insmod (\S+)/gm)) {
      const name = path!.slice(path!.lastIndexOf("/") + 1);
      if (order.includes(name)) continue;
      order.push(name);
      await Deno.copyFile(path!, `${folder}/modules/${name}`);
    }
  }
  await Deno.writeTextFile(`${folder}/modules/order`, order.map((name) => `${name}\n`).join(""));
  await must(["sh", "-c", `cp "$(command -v busybox)" ${folder}/bin/busybox`]);
  await Deno.writeTextFile(`${folder}/init`, init, { mode: 0o755 });
  await must(["sh", "-c", `find . | cpio -o -H newc --quiet | gzip -1 >${file}`], { cwd: folder });
}
