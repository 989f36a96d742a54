import type { UiAsset } from "../api/ui/app.ts";
import { FleetError } from "../base/errors.ts";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  webmanifest: "application/manifest+json",
};

/**
 * The dashboard's files by their paths: beside the program in a built executable, in `dist/ui` when it runs
 * from source. @throws FleetError unimplemented where there are none
 */
export async function loadUiAssets(): Promise<ReadonlyMap<string, UiAsset>> {
  for (
    const folder of [new URL("./ui/", import.meta.url), new URL("../../dist/ui/", import.meta.url)]
  ) {
    const assets = await readFolder(folder);
    if (assets.size > 0) return assets;
  }
  throw new FleetError(
    "unimplemented",
    "--ui-addr: this program was built without the dashboard; build it with deno task compile",
  );
}

async function readFolder(folder: URL): Promise<Map<string, UiAsset>> {
  const assets = new Map<string, UiAsset>();
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.endsWith(".gz")) continue;
      const path = name.slice(0, -".gz".length);
      const type = TYPES[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream";
      assets.set(path, { type, gzip: await Deno.readFile(new URL(name, folder)) });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return assets;
}
