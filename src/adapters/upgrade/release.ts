import { createHash, createVerify } from "node:crypto";
import { basename } from "node:path";
import { FleetError, messageOf } from "../../base/errors.ts";

/** What to install: a release server's folder or URL, or one executable. */
export interface ReleaseRequest {
  readonly source: string;
  /** Instead of the channel's newest. */
  readonly version?: string | undefined;
  readonly channel?: string | undefined;
}

export interface Release {
  readonly version: string;
  readonly bytes: Uint8Array;
}

const FETCH_TIMEOUT_MS = 120_000;
/** A larger file is no fleet. */
const MAX_BYTES = 512 * 1024 * 1024;

/**
 * Fetches an executable and checks it as `install.sh` does: against SHA256SUMS, and those against their
 * signature where `releaseKey` (PEM) is known. `version` is that of the release, empty for a single file.
 * @throws FleetError unavailable (not there), forbidden (not what was released)
 */
export async function obtain(
  request: ReleaseRequest,
  machine: { readonly arch: string; readonly releaseKey: string | undefined },
): Promise<Release> {
  const source = request.source.replace(/\/$/, "");
  if (await isExecutable(source)) return await obtainFile(source, machine.releaseKey);
  const version = await resolveVersion({ ...request, source });
  const name = `fleet-linux-${machine.arch}`;
  const folder = `${source}/v${version}`;
  const sums = await read(`${folder}/SHA256SUMS`);
  if (!sums) throw new FleetError("unavailable", `${source} has no version ${version}`);
  if (machine.releaseKey) {
    await checkSignature(sums, `${folder}/SHA256SUMS.sig`, machine.releaseKey);
  }
  const bytes = await read(`${folder}/${name}`);
  if (!bytes) throw new FleetError("unavailable", `${folder} has no ${name}`);
  checkSum(bytes, sums, name);
  return { version, bytes };
}

/** The version that the request means; empty for a single file. @throws FleetError unavailable, invalid */
export async function resolveVersion(request: ReleaseRequest): Promise<string> {
  const source = request.source.replace(/\/$/, "");
  if (await isExecutable(source)) return "";
  const channel = request.channel || "stable";
  const found = request.version || firstLine(await read(`${source}/channels/${channel}`));
  if (found === undefined) {
    throw new FleetError("unavailable", `${source} has no channel "${channel}"`);
  }
  const version = found.replace(/^v/, "");
  if (!/^[0-9A-Za-z.+-]{1,64}$/.test(version)) {
    throw new FleetError("invalid", `"${version}" is no version`);
  }
  return version;
}

async function obtainFile(source: string, releaseKey: string | undefined): Promise<Release> {
  const bytes = await read(source);
  if (!bytes) throw new FleetError("unavailable", `cannot read ${source}`);
  const sums = await read(`${source}.sha256`);
  if (releaseKey) {
    if (!sums) {
      throw new FleetError(
        "forbidden",
        `${source}.sha256 is missing, and this machine takes signed releases only`,
      );
    }
    await checkSignature(sums, `${source}.sha256.sig`, releaseKey);
  }
  if (sums) checkSum(bytes, sums, basename(source));
  return { version: "", bytes };
}

async function checkSignature(sums: Uint8Array, path: string, key: string): Promise<void> {
  const signature = await read(path);
  if (!signature) {
    throw new FleetError("forbidden", `the release is not signed: there is no ${path}`);
  }
  if (!createVerify("sha256").update(sums).verify(key, signature)) {
    throw new FleetError("forbidden", `${path} is not the release key's signature`);
  }
}

function checkSum(bytes: Uint8Array, sums: Uint8Array, name: string): void {
  const lines = new TextDecoder().decode(sums).split("\n").map((line) => line.split(/\s+\*?/));
  const wanted = lines.find(([, file]) => file === name)?.[0];
  const found = createHash("sha256").update(bytes).digest("hex");
  if (wanted === found) return;
  throw new FleetError(
    "forbidden",
    wanted === undefined
      ? `the list of checksums does not name ${name}`
      : `${name} is damaged or not what was released: its SHA-256 is ${found}, not ${wanted}`,
  );
}

async function isExecutable(source: string): Promise<boolean> {
  if (isUrl(source)) return /^fleet(-linux-.*)?$/.test(basename(new URL(source).pathname));
  const info = await Deno.stat(source).catch(() => undefined);
  if (!info) throw new FleetError("unavailable", `${source} does not exist on this node`);
  return info.isFile;
}

const isUrl = (source: string) => /^https?:\/\//.test(source);

function firstLine(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes).split("\n", 1)[0]?.trim();
}

/** A file or URL; undefined where there is none. @throws FleetError unavailable */
async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    if (!isUrl(path)) return await Deno.readFile(path);
    const response = await fetch(path, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (response.status === 404) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    if (Number(response.headers.get("content-length") ?? 0) > MAX_BYTES) throw new Error("too big");
    return await response.bytes();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new FleetError("unavailable", `cannot fetch ${path}: ${messageOf(error)}`);
  }
}
