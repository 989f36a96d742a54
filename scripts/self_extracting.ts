import { createHash } from "node:crypto";
import { run } from "./run.ts";

export interface Package {
  /** The Deno executable. */
  readonly deno: string;
  /** Folder with the bundle; its entry is `main.js`. */
  readonly app: string;
  /** `deno` with these flags runs the entry. */
  readonly flags: readonly string[];
  readonly output: string;
  /** Folder that keeps the compressed Deno from one build to the next. */
  readonly cache: string;
}

/** Unpacked builds that a cache folder keeps, and for how long it keeps more. */
const KEPT_BUILDS = 5;
const KEPT_DAYS = 14;
const HASH_CHARACTERS = 16;

/**
 * Writes one executable: a shell header, the bundle, Deno. The header's usual path is a few file tests
 * and an exec, without any other process. Bundle and Deno have a cache folder each, named by its content, so
 * that another build of fleet unpacks 2 MB and not 90.
 */
export async function packSelfExtracting(options: Package): Promise<void> {
  await Deno.mkdir(options.cache, { recursive: true });
  const work = await Deno.makeTempDir({ dir: options.cache, prefix: "pack-" });
  try {
    const app = `${work}/app.tgz`;
    await shell('tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 -c . | gzip -1n >"$2"', [
      options.app,
      app,
    ]);
    const { file: deno, hash: denoHash } = await compressedDeno(options);
    const [appSize, denoSize] = [(await Deno.stat(app)).size, (await Deno.stat(deno)).size];
    const appHash = shortHash(await Deno.readFile(app));
    const header = headerText({ appHash, denoHash, appSize, denoSize, flags: options.flags });
    const whole = `${work}/whole`;
    await Deno.writeTextFile(whole, header);
    await shell('cat "$2" "$3" >>"$1"', [whole, app, deno]);
    await Deno.chmod(whole, 0o755);
    await Deno.rename(whole, options.output);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Compressing Deno takes most of a build: done once per Deno. */
async function compressedDeno({ deno, cache }: Package): Promise<{ file: string; hash: string }> {
  const { size, mtime } = await Deno.stat(deno);
  const key = shortHash(new TextEncoder().encode(`${deno} ${size} ${mtime?.getTime()}`));
  const file = `${cache}/deno-${key}.gz`;
  const hashFile = `${file}.hash`;
  const known = await Deno.readTextFile(hashFile).catch(() => undefined);
  if (known && await Deno.stat(file).then(() => true, () => false)) return { file, hash: known };
  const part = await Deno.makeTempFile({ dir: cache, prefix: "deno-" });
  await shell('gzip -1nc "$1" >"$2"', [deno, part]);
  const hash = shortHash(await Deno.readFile(deno));
  await Deno.rename(part, file);
  await Deno.writeTextFile(hashFile, hash);
  return { file, hash };
}

interface Header {
  readonly appHash: string;
  readonly denoHash: string;
  readonly appSize: number;
  readonly denoSize: number;
  readonly flags: readonly string[];
}

/** The header states its own length, so it is made twice. */
export function headerText(parts: Header): string {
  const length = new TextEncoder().encode(makeHeader(parts, 0)).length;
  return makeHeader(parts, length);
}

/**
 * Whatever is found in the cache must belong to us and be complete: folders appear under their names by
 * a rename. Names of unfinished ones come from mktemp and not from the process number, which is not
 * unique where hosts with pid namespaces share a cache.
 */
function makeHeader({ appHash, denoHash, appSize, denoSize, flags }: Header, length: number) {
  const number = (value: number) => String(value).padStart(9, "0");
  return `#!/bin/sh
# fleet with its runtime in one file. The first run unpacks both into a cache folder: FLEET_CACHE_DIR,
# /var/cache/fleet for root, otherwise ~/.cache/fleet.
case $0 in /*) self=$0 ;; *) self=$PWD/$0 ;; esac
if [ -n "\${FLEET_CACHE_DIR-}" ]; then base=$FLEET_CACHE_DIR
elif [ -w /var/cache ]; then base=/var/cache/fleet
else base=\${XDG_CACHE_HOME:-\${HOME-}/.cache}/fleet; fi
app=$base/app-${appHash}
deno=$base/deno-${denoHash}
fail() { echo "fleet: $*" >&2; exit 1; }
unpack() { # FOLDER FIRST_BYTE LENGTH COMMAND...
  folder=$1 first=$2 bytes=$3; shift 3
  umask 022
  mkdir -p "$base" || fail "cannot write to $base: set FLEET_CACHE_DIR to a folder with 200 MB free"
  part=$(mktemp -d "$base/.unpack-XXXXXX") || fail "cannot write to $base: set FLEET_CACHE_DIR"
  trap 'rm -rf "$part"' EXIT
  trap 'exit 130' HUP INT TERM
  chmod 755 "$part"
  tail -c +"$first" "$self" | head -c "$bytes" | (cd "$part" && "$@") && [ -s "$part/.complete" ] ||
    fail "cannot unpack into $base: is the disk full, or $self damaged?"
  mv -T "$part" "$folder" 2>/dev/null || [ -s "$folder/.complete" ] || {
    rm -rf "$folder" && mv -T "$part" "$folder" || fail "cannot replace $folder"
  }
  rm -rf "$part"
  trap - EXIT HUP INT TERM
  # What was cut short, and builds that nobody has unpacked for long.
  find "$base" -maxdepth 1 -name '.unpack-*' -mmin +60 -exec rm -rf {} + 2>/dev/null
  ls -1td "$base"/app-* "$base"/deno-* 2>/dev/null | tail -n +$((${KEPT_BUILDS} * 2 + 1)) |
    while read -r old; do
      [ "$old" = "$app" ] || [ "$old" = "$deno" ] ||
        find "$old" -maxdepth 0 -mtime +${KEPT_DAYS} -exec rm -rf {} + 2>/dev/null
    done
  return 0
}
# Times are not restored: a folder from 1970 would look left over.
unpack_app() { gzip -dc >.tar && tar -xmf .tar && rm .tar && echo complete >.complete; }
unpack_deno() { gzip -dc >deno && chmod 755 deno && echo complete >.complete; }
[ -s "$app/.complete" ] || unpack "$app" ${number(length + 1)} ${number(appSize)} unpack_app
[ -s "$deno/.complete" ] || unpack "$deno" ${number(length + 1 + appSize)} ${
    number(denoSize)
  } unpack_deno
[ -O "$base" ] && [ -O "$app" ] && [ -O "$deno" ] ||
  fail "$base belongs to another user: set FLEET_CACHE_DIR to a folder of your own"
export FLEET_EXECUTABLE="$self" DENO_DIR="$app/cache" DENO_NO_UPDATE_CHECK=1
# What an agent has in memory must not be on a disk after a crash: keys, secrets.
case \${1-} in agent) ulimit -c 0 ;; esac
exec "$deno/deno" ${flags.join(" ")} "$app/main.js" "$@"
exit 126
`;
}

async function shell(script: string, args: readonly string[]): Promise<void> {
  await run(["/bin/sh", "-c", script, "sh", ...args]);
}

function shortHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, HASH_CHARACTERS);
}
