import type { HostLayout, LabLayout } from "./layout.ts";
import { LAB_VARIABLE } from "./leftovers.ts";

/** Variables of the caller that programs inside a host also get; everything else is the host's own. */
const INHERITED =
  /^(PATH|HOME|USER|LANG|LC_.*|TERM|TMPDIR|XDG_CACHE_HOME|FLEET_CACHE_DIR|DENO_.*|NO_COLOR)$/;
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * What a host's first process does, called with the host's folder, its name and the lab's hosts: it makes /run, /sys and /etc
 * the host's own, says `ready`, and stays as process 1, which reaps what others leave.
 *
 * `/sys` is mounted anew to show this network namespace's devices, and the cgroups, which that would
 * hide, are put back. `/etc` is an overlay: the engine keeps its identity in `/etc/docker`, and a host
 * has a name and a resolver of its own. Without a name server that refuses at once, every image
 * look-up would wait for DNS.
 */
export const BOOT_SCRIPT = `set -e
mount -t tmpfs -o mode=0755 run /run
mkdir -p /run/lock /run/fleet /run/lab/cgroup /run/lab/etc /run/lab/work
mount --rbind /sys/fs/cgroup /run/lab/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/lab/cgroup /sys/fs/cgroup
umount -l /run/lab/cgroup
mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/etc,workdir=/run/lab/work etc /etc
rm -rf /etc/docker /etc/resolv.conf
mkdir -m 0755 /etc/docker
printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' >/etc/resolv.conf
printf '%s\\n' "$2" >/etc/hostname
printf '127.0.0.1 localhost\\n%s' "$3" >/etc/hosts
printf '%s' "$2" >/proc/sys/kernel/hostname
ln -s "$1/docker.sock" /run/docker.sock
ln -s "$1/fleet.sock" /run/fleet/fleet.sock
echo ready
exec >/dev/null 2>&1
while :; do sleep infinity & wait; done
`;

/** Starts a host's first process, `boot.sh` in its folder, in new namespaces. */
export function bootArgv(host: HostLayout, hosts: readonly HostLayout[]): string[] {
  const table = hosts.map(({ address, name }) => `${address} ${name}\n`).join("");
  return [
    // Its errors go to a file; what it says on standard output, `ready`, goes to us.
    ...["/bin/sh", "-c", 'exec 2>"$0"; exec setsid -f "$@"', `${host.folder}/boot.log`],
    ...["nsenter", `--net=/run/netns/${host.namespace}`],
    ...["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc"],
    ...["/bin/sh", `${host.folder}/boot.sh`, host.folder, host.name, table],
  ];
}

/** The environment of programs inside a host. */
export function hostEnvironment(
  lab: LabLayout,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const inherited = Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => INHERITED.test(name)),
  );
  const path = (inherited["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(":");
  const missing = SYSTEM_FOLDERS.filter((folder) => !path.includes(folder));
  return {
    ...inherited,
    PATH: [`${lab.folder}/bin`, ...path, ...missing].join(":"),
    [LAB_VARIABLE]: lab.folder,
    ...extra,
  };
}

/** Makes `fleet` the lab's own executable for programs inside its hosts. */
export async function writeFleetCommand(lab: LabLayout, binary: readonly string[]): Promise<void> {
  const quoted = binary.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  await Deno.mkdir(`${lab.folder}/bin`);
  const script = `#!/bin/sh\nexec ${quoted} "$@"\n`;
  await Deno.writeTextFile(`${lab.folder}/bin/fleet`, script, { mode: 0o755 });
}

/** The engine's settings. In a file of its own, so that the machine's `daemon.json` plays no part. */
export function engineConfig(
  lab: LabLayout,
  host: HostLayout,
  extra: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    "data-root": `${host.folder}/docker`,
    "exec-root": "/run/docker",
    "pidfile": "/run/docker.pid",
    "hosts": [`unix://${host.engineSocket}`],
    "bip": host.engineSubnet,
    "cgroup-parent": host.cgroup,
    // The systemd driver would ask a systemd that the host does not have.
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    // Registries of tests serve plain HTTP on the underlay.
    "insecure-registries": [lab.subnet],
    "log-level": "warn",
    ...extra,
  };
}
