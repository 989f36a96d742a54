import { fromRoot } from "../../../scripts/run.ts";
import { newestKernelPackage, packInitrd, releaseOf, unpackKernel } from "./kernel.ts";
import { CHANNEL, channelName, CHANNELS, exists } from "./system_image.ts";
import type { SystemImage } from "./system_image.ts";

/** Kept between runs. A change of what is made below must change the number. */
const CACHE = fromRoot("dist/cache/vm-lean-2");

/**
 * What a machine is started from that needs Debian's kernel and no service manager: its programs, the
 * engine among them, are those of the machine that the tests run on, and what it writes is in its memory.
 * Only a first root has to be made.
 */
export async function leanImage(): Promise<SystemImage> {
  const kernelPackage = await newestKernelPackage();
  const release = releaseOf(kernelPackage);
  const image: SystemImage = {
    root: "/",
    kernel: `${CACHE}/kernel/boot/vmlinuz-${release}`,
    initrd: `${CACHE}/initrd-${release}.gz`,
    modules: `${CACHE}/kernel/lib/modules`,
    disk: false,
  };
  if (await exists(`${CACHE}/complete-${release}`)) return image;
  await Deno.remove(CACHE, { recursive: true }).catch(() => {});
  await Deno.mkdir(CACHE, { recursive: true });
  await unpackKernel(kernelPackage, CACHE);
  await packInitrd({ folder: CACHE, release, file: image.initrd, init: INIT });
  await Deno.writeTextFile(`${CACHE}/complete-${release}`, "");
  return image;
}

/** Of the machine that the tests run on, in the others' way; all of them begin empty. */
const OWN_FOLDERS = [
  ...["run", "srv", "root", "etc/docker", "etc/fleet"],
  // The engine's layers cannot lie on an overlay.
  ...["var/lib/docker", "var/lib/containerd", "var/lib/fleet"],
].join(" ");
const COMMON_FOLDERS = "tmp var/tmp";
const NAMES = Array.from({ length: CHANNELS }, (_, i) => channelName(i)).join(" ");

/** Takes the shared system as its own, with everything that lives in memory in places of its own. */
const INIT = `#!/bin/busybox sh
alias b=/bin/busybox
b mkdir -p /proc /sys /dev /memory /shared /new
b mount -t proc proc /proc
b mount -t sysfs sysfs /sys
b mount -t devtmpfs dev /dev
while read -r module; do b insmod "/modules/$module"; done </modules/order
b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 root /shared
b mount -t tmpfs memory /memory
b mkdir -p /memory/upper /memory/work
b mount -t overlay -o lowerdir=/shared,upperdir=/memory/upper,workdir=/memory/work overlay /new
b mkdir -p /new/lib/modules /new/mnt/host
b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose modules /new/lib/modules
b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144 host /new/mnt/host
own() { b mkdir -p "/new/$2"; b mount -t tmpfs -o "mode=$1" tmpfs "/new/$2"; }
for folder in ${OWN_FOLDERS}; do own 700 "$folder"; done
for folder in ${COMMON_FOLDERS}; do own 1777 "$folder"; done
for folder in proc sys dev; do b mount --move "/$folder" "/new/$folder"; done
b cat >/new/run/channel <<'END'
${CHANNEL}END
b cat >/new/run/start <<'END'
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname "$(sed 's/.*systemd.hostname=//; s/ .*//' /proc/cmdline)"
# Nothing listens there: names are not found at once, instead of after a time-out.
rm -f /etc/resolv.conf
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
ip link set lo up
for name in ${NAMES}; do
  while :; do sh /run/channel "$name"; sleep 1; done &
done
wait
END
exec /bin/busybox switch_root /new /bin/sh /run/start
`;
