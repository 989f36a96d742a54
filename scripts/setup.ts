/**
 * Installs what the tests and the demo need on a fresh Debian machine, as root by apt; otherwise names
 * what is missing and ends. Quick when everything is there.
 */

/** A program that must be on the PATH and the Debian package that has it. */
const NEEDED: readonly (readonly [program: string, packageName: string])[] = [
  ["dockerd", "docker.io"],
  ["docker", "docker-cli"],
  ["containerd", "containerd"],
  ["iptables", "iptables"],
  ["ipvsadm", "ipvsadm"],
  ["busybox", "busybox-static"],
  ["ip", "iproute2"],
  ["nsenter", "util-linux"],
  ["ps", "procps"],
  ["openssl", "openssl"],
  ["script", "bsdutils"],
  ["tar", "tar"],
  ["gzip", "gzip"],
  ["git", "git"],
];
/** Only the benchmarks compare with these. */
export const BENCH_NEEDED: typeof NEEDED = [["etcd", "etcd-server"]];

const SEARCHED = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

function missing(needed: typeof NEEDED): (readonly [string, string])[] {
  const folders = new Set([...(Deno.env.get("PATH") ?? "").split(":"), ...SEARCHED]);
  return needed.filter(([program]) =>
    ![...folders].some((folder) => {
      try {
        return Deno.statSync(`${folder}/${program}`).isFile;
      } catch {
        return false;
      }
    })
  );
}

/** @throws Error naming what is missing and how to get it */
export async function setup(needed: typeof NEEDED = NEEDED): Promise<void> {
  let open = missing(needed);
  if (open.length === 0) return;
  const names = () => open.map(([program, name]) => `${program} (package ${name})`).join(", ");
  if (Deno.uid() !== 0) throw new Error(`missing: ${names()}; install them, or run this as root`);
  if (missing([["apt-get", "apt"]]).length > 0) {
    throw new Error(`missing: ${names()}; install them (only apt is known to this script)`);
  }
  console.log(`installing ${names()}`);
  await apt(["update", "-qq"]);
  // The docker client is its own package only on newer releases; one that is not there is skipped.
  for (const [, name] of open) {
    if (missing(needed.filter(([, other]) => other === name)).length === 0) continue;
    const known = await new Deno.Command("apt-cache", {
      args: ["show", name],
      stdout: "null",
      stderr: "null",
    })
      .output();
    if (known.success) await apt(["install", "-y", "-qq", "--no-install-recommends", name]);
  }
  open = missing(needed);
  if (open.length > 0) throw new Error(`still missing after apt: ${names()}`);
}

async function apt(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("apt-get", {
    args: [...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`apt-get ${args.join(" ")} failed: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

if (import.meta.main) {
  try {
    await setup();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
