/**
 * Builds `dist/fleet`, one executable with everything in it. Two ways to one result: `deno compile`
 * where its runtime (denort) can be had, and otherwise a file that unpacks itself once into a cache.
 * Both are made from the same bundle and behave the same; `fleet --version` says which one it is.
 *
 *     deno task compile [--official | --self-extracting] [--force] [--as VERSION --output FILE]
 *
 * `--as` makes one that says it is another version, for trying upgrades.
 */
import { createHash } from "node:crypto";
import { withFileLock } from "../src/adapters/lab_hosts/lock.ts";
import { bundle } from "./bundle.ts";
import { fromRoot } from "./run.ts";
import { packSelfExtracting } from "./self_extracting.ts";

const DIST = fromRoot("dist");
const OUTPUT = `${DIST}/fleet`;
const STAMP = `${DIST}/fleet.stamp`;
/** Says for which Deno the official runtime could not be had, so that not every build asks again. */
const NO_RUNTIME = `${DIST}/cache/no-official-runtime`;
/** What is in the executable. */
const SOURCES = ["main.ts", "deno.json", "deno.lock", "src", "cli", "ui", "scripts", "install.sh"];
/** Another build may be under way in this checkout. */
const LOCK_TIMEOUT_MS = 120_000;
/** Where downloads are filtered the attempt may hang instead of failing. */
const OFFICIAL_TIMEOUT_MS = 20_000;
/** When asked for by name it may take the download's time. */
const OFFICIAL_ASKED_TIMEOUT_MS = 300_000;

/** A small nursery keeps an idle agent small. `--optimize-for-size` would not, and halves the writes per second. */
const V8_FLAGS = "--v8-flags=--max-semi-space-size=4";
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
  "--unstable-net",
  V8_FLAGS,
];

type Kind = "official" | "self-extracting";

interface CompileOptions {
  /** Only this way; the first that works otherwise. */
  readonly kind?: Kind;
  /** Also when nothing has changed. */
  readonly force?: boolean;
}

/** A self-extracting executable that says it is `version`. */
export async function compileAs(version: string, output: string): Promise<void> {
  await Deno.mkdir(`${DIST}/cache`, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: DIST, prefix: "bundle-" });
  try {
    await bundle(`${folder}/app`, {
      __FLEET_VERSION__: version,
      __FLEET_COMMIT__: await currentCommit(),
      __FLEET_BUILD_KIND__: "self-extracting",
    });
    await packSelfExtracting({
      deno: Deno.execPath(),
      app: `${folder}/app`,
      flags: RUN_FLAGS,
      output,
      cache: `${DIST}/cache`,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

export async function compile(options: CompileOptions = {}): Promise<void> {
  await Deno.mkdir(`${DIST}/cache`, { recursive: true });
  await withFileLock(`${DIST}/.lock`, "dist", LOCK_TIMEOUT_MS, async () => {
    const started = performance.now();
    const commit = await currentCommit();
    const stamp = await sourceStamp(options.kind ?? "any", commit);
    if (!options.force && await isFile(OUTPUT) && await readOr(STAMP, "") === stamp) {
      console.log("dist/fleet is up to date");
      return;
    }
    await Deno.remove(STAMP).catch(() => {});
    const kind = await build(options, commit);
    await Deno.writeTextFile(STAMP, stamp);
    const megabytes = ((await Deno.stat(OUTPUT)).size / 1e6).toFixed(1);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`dist/fleet: ${kind}, ${megabytes} MB, in ${seconds} s`);
  });
}

async function build(options: CompileOptions, commit: string): Promise<Kind> {
  const folder = await Deno.makeTempDir({ dir: DIST, prefix: "bundle-" });
  const make = async (kind: Kind): Promise<string> => {
    const target = `${folder}/${kind}`;
    await bundle(target, { __FLEET_COMMIT__: commit, __FLEET_BUILD_KIND__: kind });
    return target;
  };
  try {
    if (options.kind === "official" || (options.kind === undefined && await mayBeOfficial())) {
      const failure = await compileOfficially(await make("official"), options.kind === "official");
      if (failure === undefined) return "official";
      if (options.kind === "official") throw new Error(`deno compile failed: ${failure}`);
      await Deno.writeTextFile(NO_RUNTIME, Deno.version.deno);
    }
    await packSelfExtracting({
      deno: Deno.execPath(),
      app: await make("self-extracting"),
      flags: RUN_FLAGS,
      output: OUTPUT,
      cache: `${DIST}/cache`,
    });
    return "self-extracting";
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function mayBeOfficial(): Promise<boolean> {
  return await readOr(NO_RUNTIME, "") !== Deno.version.deno;
}

/** Resolves to why it did not work, if so. */
async function compileOfficially(folder: string, asked: boolean): Promise<string | undefined> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--no-check",
      "--no-config",
      "-A",
      "--unstable-http",
      "--unstable-net",
      V8_FLAGS,
      "--include",
      folder,
      "--output",
      OUTPUT,
      `${folder}/main.js`,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(asked ? OFFICIAL_ASKED_TIMEOUT_MS : OFFICIAL_TIMEOUT_MS),
  });
  const { success, signal, stderr } = await child.output();
  if (success) return undefined;
  if (signal) return "it took too long";
  return new TextDecoder().decode(stderr).trim().split("\n").slice(-3).join(" ");
}

/** The commit, with `-changed` behind it when the work tree is not it; `unknown` outside of git. */
async function currentCommit(): Promise<string> {
  const git = async (...args: string[]): Promise<string | undefined> => {
    const { success, stdout } = await new Deno.Command("git", {
      args: ["-C", fromRoot(""), ...args],
      stderr: "null",
    }).output().catch(() => ({ success: false, stdout: new Uint8Array() }));
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  };
  const commit = await git("rev-parse", "--short=12", "HEAD");
  if (!commit) return "unknown";
  const changed = await git("status", "--porcelain", "--", ...SOURCES);
  return changed === "" ? commit : `${commit}-changed`;
}

/** Changes whenever the result would: all sources, Deno, the commit. */
async function sourceStamp(kind: string, commit: string): Promise<string> {
  const hash = createHash("sha256").update(`${kind} ${commit} ${Deno.version.deno}\n`);
  const visit = async (path: string): Promise<void> => {
    const info = await Deno.stat(path).catch(() => undefined);
    if (info?.isFile) hash.update(`${path} ${info.size}\n`).update(await Deno.readFile(path));
    if (!info?.isDirectory) return;
    const names = (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name).sort();
    for (const name of names) await visit(`${path}/${name}`);
  };
  for (const path of SOURCES) await visit(fromRoot(path));
  return hash.digest("hex");
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

async function readOr(path: string, otherwise: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => otherwise);
}

if (import.meta.main) {
  const kind = (["official", "self-extracting"] as const)
    .find((name) => Deno.args.includes(`--${name}`));
  const [as, output] = ["--as", "--output"].map((flag) => {
    const at = Deno.args.indexOf(flag);
    return at < 0 ? undefined : Deno.args[at + 1];
  });
  try {
    if (as && output) await compileAs(as, output);
    else await compile({ force: Deno.args.includes("--force"), ...(kind ? { kind } : {}) });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
