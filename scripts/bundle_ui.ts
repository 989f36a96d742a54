/**
 * Builds the dashboard's page into a folder: one script, what it loads on demand, one style sheet, the page;
 * every file compressed, and named by its content so that browsers may keep it.
 *
 *     deno run -A scripts/bundle_ui.ts        into dist/ui, for an agent that runs from source
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { fromRoot, run } from "./run.ts";

export async function bundleUi(folder: string): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "fleet-ui-" });
  try {
    await run([
      Deno.execPath(),
      "bundle",
      "--quiet",
      "--platform",
      "browser",
      "--minify",
      "--code-splitting",
      "--outdir",
      work,
      fromRoot("ui/main.tsx"),
    ], { cwd: fromRoot("") });
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    await Deno.mkdir(folder, { recursive: true });
    const script = await writeScripts(work, folder);
    const style = await writeNamed(
      folder,
      "style",
      "css",
      await Deno.readTextFile(`${work}/main.css`),
    );
    const page = (await Deno.readTextFile(fromRoot("ui/index.html")))
      .replace("{{script}}", script).replace("{{style}}", style);
    await write(folder, "index.html", page);
    await write(folder, "icon.svg", await Deno.readTextFile(fromRoot("ui/icon.svg")));
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Chunks have names by content already; the entry gets one. The entry's name. */
async function writeScripts(from: string, to: string): Promise<string> {
  let entry = "";
  for await (const { name } of Deno.readDir(from)) {
    if (!name.endsWith(".js")) continue;
    const text = await Deno.readTextFile(`${from}/${name}`);
    if (name === "main.js") entry = await writeNamed(to, "main", "js", text);
    else await write(to, name, text);
  }
  if (entry === "") throw new Error("the bundle of the dashboard has no main.js");
  // A chunk that asked for its entry would load it a second time, under another name.
  for await (const { name } of Deno.readDir(from)) {
    if (
      name !== "main.js" && (await Deno.readTextFile(`${from}/${name}`)).includes('"./main.js"')
    ) {
      throw new Error(`${name} imports the entry: move what it needs into a file of its own`);
    }
  }
  return entry;
}

async function writeNamed(folder: string, name: string, type: string, text: string) {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  await write(folder, `${name}-${hash}.${type}`, text);
  return `${name}-${hash}.${type}`;
}

async function write(folder: string, name: string, text: string): Promise<void> {
  await Deno.writeFile(`${folder}/${name}.gz`, gzipSync(text, { level: 9 }));
}

if (import.meta.main) await bundleUi(fromRoot("dist/ui"));
