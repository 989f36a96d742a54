/**
 * Installs what the tests and the demo need on a fresh Debian machine, as root by apt; otherwise names
 * what is missing and ends. Quick when everything is there: a look at the PATH and nothing else.
 *
 *     deno run -A scripts/setup.ts [--bench] [--vm]
 */

/** A program that must be on the PATH and the Debian packages that may have it. */
interface Need {
  readonly program: string;
  readonly packages: readonly string[];
}

const need = (program: string, ...packages: string[]): Need => ({ program, packages });

const NEEDED: readonly Need[] = [
  need("dockerd", "docker.io"),
  // A package of its own on newer releases, where docker.io does not bring the client.
  need("docker", "docker.io", "docker-cli"),
  need("iptables", "iptables"),
  need("ipvsadm", "ipvsadm"),
  need("conntrack", "conntrack"),
  need("busybox", "busybox-static"),
  need("ip", "iproute2"),
  need("nsenter", "util-linux"),
  need("ps", "procps"),
  need("openssl", "openssl"),
  need("script", "bsdutils"),
  need("tar", "tar"),
  need("gzip", "gzip"),
  need("git", "git"),
  need("shellcheck", "shellcheck"),
  need("debootstrap", "debootstrap"),
  need("chromium", "chromium"),
  need("prometheus", "prometheus"),
  need("promtool", "prometheus"),
  need("faketime", "faketime"),
  need("docker-registry", "docker-registry"),
  need("htpasswd", "apache2-utils"),
  need("curl", "curl"),
  need("ssh", "openssh-client"),
  need("sshd", "openssh-server"),
  // It brings docker-py, which has no program of its own.
  need("docker-compose", "docker-compose"),
  need("zsh", "zsh"),
  need("fish", "fish"),
  need("ethtool", "ethtool"),
  need("cfssl", "golang-cfssl"),
  need("nginx", "nginx-light"),
];
/** Only virtual machines are made with these. */
const VM_NEEDED: readonly Need[] = [
  need("qemu-system-x86_64", "qemu-system-x86"),
  need("modprobe", "kmod"),
  need("mkfs.ext4", "e2fsprogs"),
  need("cpio", "cpio"),
  need("tcpdump", "tcpdump"),
];
/** Only the benchmarks compare with these. */
const BENCH_NEEDED: readonly Need[] = [
  need("etcd", "etcd-server"),
  need("dnsmasq", "dnsmasq-base"),
  need("dnsperf", "dnsperf"),
  need("wrk", "wrk"),
  need("iperf3", "iperf3"),
];

/** Folders of system programs, which a user's PATH may lack. */
const SYSTEM_FOLDERS = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
];
const APT_TIMEOUT_MS = 10 * 60_000;

/** @throws Error with one sentence that names what is missing and how to get it */
export async function setup(
  options: { readonly bench?: boolean; readonly vm?: boolean } = {},
): Promise<void> {
  const needed = [
    ...NEEDED,
    ...(options.bench ? BENCH_NEEDED : []),
    ...(options.vm ? VM_NEEDED : []),
  ];
  const open = missing(needed);
  if (open.length === 0) return;
  if (Deno.uid() !== 0) {
    throw new Error(`missing: ${describe(open)}: install it, or run this as root`);
  }
  if (missing([need("apt-get")]).length > 0) {
    throw new Error(`missing: ${describe(open)}: install it; this script knows only apt`);
  }
  console.log(`installing ${describe(open)}`);
  await apt("update", "-qq");
  await withoutStarting(async () =>
    await apt("install", "-y", "-qq", "--no-install-recommends", ...await known(open))
  );
  const still = missing(needed);
  if (still.length > 0) throw new Error(`still missing after apt: ${describe(still)}`);
}

function missing(needed: readonly Need[]): readonly Need[] {
  const folders = new Set([...(Deno.env.get("PATH") ?? "").split(":"), ...SYSTEM_FOLDERS]);
  return needed.filter(({ program }) =>
    ![...folders].some((folder) => {
      try {
        return Deno.statSync(`${folder}/${program}`).isFile;
      } catch {
        return false;
      }
    })
  );
}

function describe(needs: readonly Need[]): string {
  return needs.map(({ program, packages }) => `${program} (package ${packages.join(" or ")})`)
    .join(", ");
}

/** The packages of `needs` that this release has. */
async function known(needs: readonly Need[]): Promise<string[]> {
  const wanted = [...new Set(needs.flatMap(({ packages }) => packages))];
  const { stdout } = await new Deno.Command("apt-cache", {
    args: ["--no-all-versions", "show", ...wanted],
    stdin: "null",
    stderr: "null",
  }).output();
  const there = new Set(
    [...new TextDecoder().decode(stdout).matchAll(/^Package: (.+)$/gm)].map((match) => match[1]!),
  );
  return wanted.filter((name) => there.has(name));
}

/** Debian asks it before a package starts its daemon (invoke-rc.d(8)); 101 means no. */
const POLICY = "/usr/sbin/policy-rc.d";

/** The tests start what they need themselves; nothing of what is installed shall run beside them. */
async function withoutStarting(install: () => Promise<void>): Promise<void> {
  let ours = false;
  try {
    await Deno.writeTextFile(POLICY, "#!/bin/sh\nexit 101\n", { createNew: true, mode: 0o755 });
    ours = true;
  } catch { /* The machine has a policy of its own. */ }
  try {
    await install();
  } finally {
    if (ours) await Deno.remove(POLICY);
  }
}

async function apt(...args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command("apt-get", {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(APT_TIMEOUT_MS),
  }).output();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim() || new TextDecoder().decode(stdout).trim();
  throw new Error(`apt-get ${args.join(" ")} failed: ${said.split("\n").slice(-5).join("\n")}`);
}

if (import.meta.main) {
  try {
    await setup({ bench: Deno.args.includes("--bench"), vm: Deno.args.includes("--vm") });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
