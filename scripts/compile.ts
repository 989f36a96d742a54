/**
 * Builds `dist/fleet`, one executable with everything in it. Two ways to one result: `deno compile`
 * where its runtime (denort) can be had, and otherwise a file that unpacks itself once into a cache.
 * Both are made from the same bundle and behave the same; `fleet --version` says which one it is.
 *
 *     deno task compile [--official | --self-extracting] [--force]
 */
import { fromRoot, run } from "./run.ts";

const DIST = fromRoot("dist");
const BUNDLE = `${DIST}/bundle`;
const OUTPUT = `${DIST}/fleet`;
/** Probing for denort may hang where downloads are filtered. */
const OFFICIAL_TIMEOUT_MS = 60_000;
/** Flags of the packed program: nothing is fetched or looked up at run time. */
const RUN_FLAGS = [
  "run",
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  "--no-check",
  "--no-prompt",
  "--quiet",
  "-A",
  "--unstable-http",
  "--v8-flags=--max-semi-space-size=4,--optimize-for-size",
];

type Kind = "official" | "self-extracting";

export async function compile(options: { kind?: Kind; force?: boolean } = {}): Promise<void> {
  await Deno.mkdir(DIST, { recursive: true });
  const commit = await currentCommit();
  const stamp = await sourceStamp(options.kind ?? "any", commit);
  const stampFile = `${DIST}/fleet.stamp`;
  if (!options.force && await isFile(OUTPUT)) {
    if (await Deno.readTextFile(stampFile).catch(() => "") === stamp) {
      console.log("dist/fleet is up to date");
      return;
    }
  }
  await Deno.remove(stampFile).catch(() => {});
  const built = await build(options.kind, commit);
  await Deno.writeTextFile(stampFile, stamp);
  const { size } = await Deno.stat(OUTPUT);
  console.log(`dist/fleet: ${(size / 1e6).toFixed(1)} MB, ${built}`);
}

async function build(kind: Kind | undefined, commit: string): Promise<Kind> {
  if (kind !== "self-extracting") {
    await bundle("official", commit);
    if (await compileOfficially()) return "official";
    if (kind === "official") throw new Error("deno compile failed: its runtime cannot be had here");
  }
  await bundle("self-extracting", commit);
  await packSelfExtracting();
  return "self-extracting";
}

async function bundle(kind: Kind, commit: string): Promise<void> {
  await Deno.remove(BUNDLE, { recursive: true }).catch(() => {});
  await run([
    Deno.execPath(),
    "bundle",
    "--quiet",
    "--platform",
    "deno",
    "--code-splitting",
    "--outdir",
    BUNDLE,
    fromRoot("main.ts"),
  ], { cwd: fromRoot("") });
  for await (const entry of Deno.readDir(BUNDLE)) {
    const path = `${BUNDLE}/${entry.name}`;
    const text = await Deno.readTextFile(path);
    // node-forge asks for node:crypto by `require`, which a bundled module does not have.
    const shim = text.includes("Dynamic require of")
      ? 'import{createRequire as fleetRequire}from"node:module";var require=fleetRequire(import.meta.url);'
      : "";
    await Deno.writeTextFile(
      path,
      shim + text.replaceAll("__FLEET_COMMIT__", commit).replaceAll("__FLEET_BUILD_KIND__", kind),
    );
  }
}

async function compileOfficially(): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--no-check",
      "-A",
      "--unstable-http",
      "--include",
      BUNDLE,
      "--output",
      OUTPUT,
      `${BUNDLE}/main.js`,
    ],
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(OFFICIAL_TIMEOUT_MS),
  }).spawn();
  return (await child.status).success;
}

/**
 * A shell header followed by a compressed archive of Deno and the bundle. The header's usual path is a
 * file test and an exec; only the first run of a build unpacks, into a folder named by the content,
 * which appears under its name only when it is complete.
 */
async function packSelfExtracting(): Promise<void> {
  const stage = await Deno.makeTempDir({ dir: DIST, prefix: "stage-" });
  try {
    await Deno.copyFile(Deno.execPath(), `${stage}/deno`);
    await Deno.chmod(`${stage}/deno`, 0o755);
    await Deno.mkdir(`${stage}/app`);
    for await (const entry of Deno.readDir(BUNDLE)) {
      await Deno.copyFile(`${BUNDLE}/${entry.name}`, `${stage}/app/${entry.name}`);
    }
    const payload = `${DIST}/payload.tgz`;
    await run([
      "/bin/sh",
      "-c",
      'tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 -c . | gzip -1n >"$2"',
      "pack",
      stage,
      payload,
    ]);
    const hash = await contentHash(payload);
    const header = headerText(hash);
    const output = `${DIST}/fleet.new`;
    await Deno.writeTextFile(output, header);
    const file = await Deno.open(output, { append: true });
    await (await Deno.open(payload)).readable.pipeTo(file.writable);
    await Deno.chmod(output, 0o755);
    await Deno.rename(output, OUTPUT);
    await Deno.remove(payload);
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

/** The header states its own length, so it is made twice. */
function headerText(hash: string): string {
  const make = (bytes: number) =>
    `#!/bin/sh
# fleet, packed with its runtime. The first run unpacks into a cache folder (FLEET_CACHE_DIR).
set -e
case $0 in /*) self=$0 ;; */*) self=$PWD/$0 ;; *) self=$(command -v -- "$0") ;; esac
if [ -n "$FLEET_CACHE_DIR" ]; then base=$FLEET_CACHE_DIR
elif [ -w /var/cache ]; then base=/var/cache/fleet
else base=\${XDG_CACHE_HOME:-$HOME/.cache}/fleet; fi
home=$base/${hash}
if ! [ -x "$home/deno" ]; then
  umask 022
  trap 'rm -rf "$part"' EXIT
  trap 'exit 130' INT TERM
  # Not named by the pid: hosts with pid namespaces of their own may share the cache.
  { mkdir -p "$base" && part=$(mktemp -d "$base/.unpack-XXXXXXXX") && chmod 755 "$part"; } || { echo "fleet: cannot write to $base: set FLEET_CACHE_DIR to a folder with 200 MB free" >&2; exit 1; }
  if ! tail -c +${String(bytes + 1).padStart(6, "0")} "$self" | gzip -dc | tar -x -C "$part"; then
    echo "fleet: cannot unpack into $base: is the disk full, or $self damaged?" >&2; exit 1
  fi
  [ -x "$part/deno" ] || { echo "fleet: $self is damaged" >&2; exit 1; }
  if ! [ -x "$home/deno" ]; then
    if [ -d "$home" ] && ! [ -x "$home/deno" ]; then rm -rf "$home"; fi
    mv "$part" "$home" 2>/dev/null || :
    rm -rf "$home/\${part##*/}"
  fi
  rm -rf "$part"
  trap - EXIT INT TERM
fi
FLEET_EXECUTABLE=$self DENO_DIR=$home/cache DENO_NO_UPDATE_CHECK=1
export FLEET_EXECUTABLE DENO_DIR DENO_NO_UPDATE_CHECK
exec "$home/deno" ${RUN_FLAGS.join(" ")} "$home/app/main.js" "$@"
exit 1
`;
  const bytes = new TextEncoder().encode(make(0)).length;
  return make(bytes);
}

async function contentHash(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return [...new Uint8Array(digest).subarray(0, 10)].map((byte) =>
    byte.toString(16).padStart(2, "0")
  )
    .join("");
}

async function currentCommit(): Promise<string> {
  const { success, stdout } = await new Deno.Command("git", {
    args: ["-C", fromRoot(""), "rev-parse", "--short=12", "HEAD"],
    stderr: "null",
  }).output().catch(() => ({ success: false, stdout: new Uint8Array() }));
  return success ? new TextDecoder().decode(stdout).trim() : "unknown";
}

/** Changes whenever the result would: all sources, the lock file, Deno, the commit. */
async function sourceStamp(kind: string, commit: string): Promise<string> {
  const parts: string[] = [kind, commit, Deno.version.deno];
  const visit = async (path: string): Promise<void> => {
    const info = await Deno.stat(path);
    if (info.isFile) parts.push(`${path} ${info.size} ${info.mtime?.getTime()}`);
    else if (info.isDirectory) {
      for await (const entry of Deno.readDir(path)) await visit(`${path}/${entry.name}`);
    }
  };
  for (const path of ["main.ts", "deno.json", "deno.lock", "src", "cli", "scripts/compile.ts"]) {
    await visit(fromRoot(path));
  }
  parts.sort();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\n")));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

if (import.meta.main) {
  const force = Deno.args.includes("--force");
  const kind = Deno.args.includes("--official")
    ? "official"
    : Deno.args.includes("--self-extracting")
    ? "self-extracting"
    : undefined;
  await compile({ force, ...(kind ? { kind } : {}) });
}
