/**
 * Lays a release out as `install.sh` and `fleet upgrade` expect it on a release server, any server of
 * files, and the assets of releases on GitHub: there every path is TAG/FILE, and `channels` is a tag.
 *
 *     install.sh                            for whoever has the folder itself
 *     channels/install.sh                   the same, where any server of releases can have it
 *     channels/stable                       the version that the channel is at
 *     v0.1.0/fleet-linux-x86_64             and fleet-linux-aarch64
 *     v0.1.0/SHA256SUMS, SHA256SUMS.sig     the signature where there is a key
 *     v0.1.0/sbom.cdx.json
 *
 *     deno run -A scripts/release.ts --output DIR [--releases URL] [--channel stable]
 *         [--executable ARCH=FILE …] [--key PRIVATE.pem --public-key PUBLIC.pem]
 *
 * Without `--executable` it takes dist/fleet for this machine's architecture.
 */
import { createHash, createPrivateKey, sign } from "node:crypto";
import { parseArgs } from "node:util";
import { buildInfo } from "../src/compose/build_info.ts";
import { fromRoot } from "./run.ts";
import { softwareBillOfMaterials } from "./sbom.ts";

export interface Release {
  readonly output: string;
  /** Where the files will be served; without it install.sh asks for `--from`. */
  readonly releases?: string;
  readonly channel?: string;
  /** Architecture (`x86_64`, `aarch64`) -> file. */
  readonly executables: Readonly<Record<string, string>>;
  readonly version?: string;
  /** PEM of an EC or RSA key. */
  readonly key?: string;
  /** PEM that install.sh checks signatures with. */
  readonly publicKey?: string;
}

export async function layOutRelease(release: Release): Promise<void> {
  const version = release.version ?? buildInfo().version;
  const folder = `${release.output}/v${version}`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.mkdir(`${release.output}/channels`, { recursive: true });
  const sums: string[] = [];
  for (const [arch, file] of Object.entries(release.executables)) {
    const name = `fleet-linux-${arch}`;
    await Deno.copyFile(file, `${folder}/${name}`);
    const hash = createHash("sha256").update(await Deno.readFile(file)).digest("hex");
    sums.push(`${hash}  ${name}\n`);
  }
  const list = sums.join("");
  await Deno.writeTextFile(`${folder}/SHA256SUMS`, list);
  if (release.key) {
    const signature = sign("sha256", new TextEncoder().encode(list), createPrivateKey(release.key));
    await Deno.writeFile(`${folder}/SHA256SUMS.sig`, signature);
  }
  const lock = await Deno.readTextFile(fromRoot("deno.lock"));
  const sbom = softwareBillOfMaterials(version, JSON.parse(lock), Deno.version.deno);
  await Deno.writeTextFile(`${folder}/sbom.cdx.json`, `${JSON.stringify(sbom, null, 2)}\n`);
  const script = (await Deno.readTextFile(fromRoot("install.sh")))
    .replace("@RELEASES@", release.releases ?? "@RELEASES@")
    .replace("@RELEASE_KEY@", release.publicKey?.trim() ?? "");
  for (const place of ["", "/channels"]) {
    await Deno.writeTextFile(`${release.output}${place}/install.sh`, script, { mode: 0o755 });
  }
  // Last: whoever asks for the channel's version finds all of it.
  await Deno.writeTextFile(
    `${release.output}/channels/${release.channel ?? "stable"}`,
    `${version}\n`,
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      output: { type: "string" },
      releases: { type: "string" },
      channel: { type: "string" },
      executable: { type: "string", multiple: true },
      key: { type: "string" },
      "public-key": { type: "string" },
    },
  });
  if (!values.output) {
    console.error("--output DIR: where the release is to be laid out");
    Deno.exit(2);
  }
  const given = (values.executable ?? []).map((pair) => pair.split("=", 2) as [string, string]);
  await layOutRelease({
    output: values.output,
    executables: given.length
      ? Object.fromEntries(given)
      : { [Deno.build.arch]: fromRoot("dist/fleet") },
    ...(values.releases ? { releases: values.releases } : {}),
    ...(values.channel ? { channel: values.channel } : {}),
    ...(values.key ? { key: await Deno.readTextFile(values.key) } : {}),
    ...(values["public-key"] ? { publicKey: await Deno.readTextFile(values["public-key"]) } : {}),
  });
  console.log(`laid out in ${values.output}`);
}
