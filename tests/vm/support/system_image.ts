import { capture } from "../../../src/adapters/lab_hosts/process.ts";
import { fromRoot } from "../../../scripts/run.ts";
import { newestKernelPackage, packInitrd, releaseOf, unpackKernel } from "./kernel.ts";

/** What a virtual machine is started from: folders and files that all of them share, read-only. */
export interface SystemImage {
  /** Debian's base system with systemd, Docker Engine and what fleet needs. */
  readonly root: string;
  readonly kernel: string;
  readonly initrd: string;
  /** The kernel's modules, `/lib/modules` of the machine. */
  readonly modules: string;
  /** Whether a machine has a disk, which outlives a power cut; else all that it writes is in memory. */
  readonly disk: boolean;
}

/** Kept between runs. A change of what is made below must change the number. */
const CACHE = fromRoot("dist/cache/vm-2");
const PACKAGES = [
  ...["ca-certificates", "curl", "systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps"],
  ...["iproute2", "iptables", "nftables", "ipvsadm", "docker.io", "openssh-server", "tcpdump"],
  ...["busybox-static", "conntrack", "apparmor"],
];
const DOWNLOAD_TIMEOUT_MS = 300_000;

/** Makes the image, in about a minute and a half, or finds it made. */
export async function systemImage(): Promise<SystemImage> {
  const kernelPackage = await newestKernelPackage();
  const release = releaseOf(kernelPackage);
  const image: SystemImage = {
    root: `${CACHE}/root`,
    kernel: `${CACHE}/kernel/boot/vmlinuz-${release}`,
    initrd: `${CACHE}/initrd-${release}.gz`,
    modules: `${CACHE}/kernel/lib/modules`,
    disk: true,
  };
  if (await exists(`${CACHE}/complete-${release}`)) return image;
  await Deno.remove(CACHE, { recursive: true }).catch(() => {});
  await Deno.mkdir(CACHE, { recursive: true });
  await unpackKernel(kernelPackage, CACHE);
  await packInitrd({ folder: CACHE, release, file: image.initrd, init: INIT });
  await debootstrap(image.root);
  await prepareRoot(image.root);
  await Deno.writeTextFile(`${CACHE}/complete-${release}`, "");
  return image;
}

/** A first root in memory: loads the drivers, lays a disk over the shared system, and goes there. */
const INIT = `#!/bin/busybox sh
alias b=/bin/busybox
b mkdir -p /proc /sys /dev /disk /shared /new
b mount -t proc proc /proc
b mount -t sysfs sysfs /sys
b mount -t devtmpfs dev /dev
while read -r module; do b insmod "/modules/$module"; done </modules/order
b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 root /shared
b mount -t ext4 /dev/vda /disk
b mkdir -p /disk/upper /disk/work /disk/docker
b mount -t overlay -o lowerdir=/shared,upperdir=/disk/upper,workdir=/disk/work overlay /new
# The engine's layers cannot lie on an overlay.
b mkdir -p /new/var/lib/docker /new/lib/modules /new/mnt/host
b mount -o bind /disk/docker /new/var/lib/docker
b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose modules /new/lib/modules
b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144 host /new/mnt/host
b umount /proc /sys
b mount --move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/init
`;

async function debootstrap(root: string): Promise<void> {
  const made = await capture(
    ["debootstrap", "--variant=minbase", `--include=${PACKAGES}`, "bookworm", root],
    { timeoutMs: DOWNLOAD_TIMEOUT_MS },
  );
  if (made.code === 0) return;
  throw new Error(`debootstrap failed: ${made.stdout.slice(-500)}${made.stderr}`);
}

/** Runs each line that comes in, a script in base64, and answers `code:stdout:stderr`. */
export const CHANNEL = `#!/bin/sh
for port in /sys/class/virtio-ports/*; do
  if [ "$(cat "$port/name")" = "$1" ]; then exec 3<>"/dev/\${port##*/}"; fi
done
cd /root
export HOME=/root
work=/run/channel.$1
while IFS= read -r line <&3; do
  printf %s "$line" | base64 -d >"$work.sh"
  sh "$work.sh" >"$work.out" 2>"$work.err" </dev/null 3>&-
  code=$?
  printf '%s:%s:%s\\n' "$code" "$(base64 -w0 <"$work.out")" "$(base64 -w0 <"$work.err")" >&3
done
`;
const CHANNEL_UNIT = `[Unit]
Description=runs what the tests say
DefaultDependencies=no
After=systemd-udevd.service local-fs.target

[Service]
ExecStart=/usr/local/sbin/channel %i
KillMode=process
Restart=always
`;
/** Nothing here needs what these wait for. */
const MASKED = [
  ...["e2scrub_reap.service", "ipvsadm.service", "apt-daily.timer", "apt-daily-upgrade.timer"],
  ...["modprobe@drm.service", "modprobe@fuse.service", "modprobe@efi_pstore.service"],
  ...["systemd-timesyncd.service", "getty@tty1.service", "serial-getty@ttyS0.service"],
  ...["dev-hugepages.mount", "e2scrub_all.timer", "fstrim.timer", "dpkg-db-backup.timer"],
];

async function prepareRoot(root: string): Promise<void> {
  const units = `${root}/etc/systemd/system`;
  await Deno.writeTextFile(`${root}/usr/local/sbin/channel`, CHANNEL, { mode: 0o755 });
  await Deno.chmod(`${root}/usr/local/sbin/channel`, 0o755);
  await Deno.writeTextFile(`${units}/channel@.service`, CHANNEL_UNIT);
  // Nothing listens there: names are not found at once, instead of after a time-out.
  await Deno.writeTextFile(`${root}/etc/resolv.conf`, "nameserver 127.0.0.1\n");
  const wants = `${units}/basic.target.wants`;
  await Deno.mkdir(wants, { recursive: true });
  for (let i = 0; i < CHANNELS; i++) {
    await Deno.symlink("../channel@.service", `${wants}/channel@${channelName(i)}.service`);
  }
  for (const unit of MASKED) {
    await Deno.remove(`${units}/${unit}`).catch(() => {});
    await Deno.symlink("/dev/null", `${units}/${unit}`);
  }
}

/** Scripts that may run in a machine at the same time. */
export const CHANNELS = 4;
export const channelName = (index: number) => `fleet${index}`;

export async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
