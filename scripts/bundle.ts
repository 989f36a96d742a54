import { bundleUi } from "./bundle_ui.ts";
import { withLazyModules } from "./lazy_modules.ts";
import { fromRoot, run } from "./run.ts";

/** A bundled module has no `require`, which node-forge calls for `node:crypto`. */
const REQUIRE =
  'import{createRequire as fleetRequire}from"node:module";var require=fleetRequire(import.meta.url);';

/**
 * Bundles `main.ts` into `folder`, one file per group of modules that load together: a short command
 * must not read the agent's code. The dashboard's page goes into `ui` beside them, and `install.sh`. `values` replaces the words that `build_info.ts` has for them.
 */
export async function bundle(
  folder: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  await run([
    Deno.execPath(),
    "bundle",
    "--quiet",
    "--platform",
    "deno",
    "--code-splitting",
    "--outdir",
    folder,
    fromRoot("main.ts"),
  ], { cwd: fromRoot("") });
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    const before = await Deno.readTextFile(path);
    let text = before.includes("Dynamic require of") ? REQUIRE + before : before;
    text = withLazyModules(text);
    for (const [word, value] of Object.entries(values)) text = text.replaceAll(word, value);
    if (text !== before) await Deno.writeTextFile(path, text);
  }
  // For machines that are added over SSH.
  await Deno.copyFile(fromRoot("install.sh"), `${folder}/install.sh`);
  await bundleUi(`${folder}/ui`);
}
