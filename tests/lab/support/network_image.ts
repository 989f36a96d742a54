import { must } from "../../../src/adapters/lab_hosts/process.ts";
import type { LabHost } from "../../../src/adapters/lab_hosts/host.ts";

export const NETWORK_IMAGE = "nettools:1";
/** Programs that look names up as applications do, by the C library; busybox has all the rest. */
const PROGRAMS = ["curl", "getent", "perl"];
/** Loaded by name at run time, so that `ldd` does not tell. */
const NAME_SERVICES = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

const script = (programs: readonly string[]) =>
  `set -e
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/www"
cp "$(command -v busybox)" "$root/bin/busybox"
for name in sh true cut sort sleep cat httpd nc nslookup ping ip dd md5sum hostname wget env tail seq; do ln -s busybox "$root/bin/$name"; done
copy() { mkdir -p "$root$(dirname "$1")"; cp -L "$1" "$root$1"; }
for program in ${programs.join(" ")}; do
  path=$(command -v $program)
  cp -L "$path" "$root/bin/$program"
  for library in $(ldd "$path" | grep -o '/[^ ]*'); do copy "$library"; done
done
libc=$(ldd "$(command -v getent)" | grep -o '/[^ ]*libc.so.6')
for name in ${NAME_SERVICES.join(" ")}; do
  if [ -e "$(dirname "$libc")/$name" ]; then copy "$(dirname "$libc")/$name"; fi
done
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
tar -C "$root" -cf "$1" .`;

/** Puts an image with an HTTP server and clients, and with `more` programs of this machine, on every host. */
export async function loadNetworkImage(
  hosts: readonly LabHost[],
  more: readonly string[] = [],
): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".tar" });
  try {
    await must(["sh", "-c", script([...PROGRAMS, ...more]), "sh", file]);
    await Promise.all(hosts.map(async (host) => {
      const { code, stderr } = await host.docker([
        ...["import", "--change", 'CMD ["sleep","100000"]', file, NETWORK_IMAGE],
      ]);
      if (code !== 0) throw new Error(`docker import on ${host.name}: ${stderr}`);
    }));
  } finally {
    await Deno.remove(file);
  }
}
