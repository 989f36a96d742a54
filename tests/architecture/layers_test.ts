import assert from "node:assert/strict";
import { dirname, relative, resolve } from "node:path";
import { fromRoot, moduleImports, sourceFiles } from "./source_files.ts";

interface Rule {
  readonly folder: string;
  readonly imports: readonly string[];
  readonly packages: readonly string[] | "any";
}

/** Reads the table of src/README.md, so that the page and the code cannot drift apart. */
async function rules(): Promise<Rule[]> {
  const page = await Deno.readTextFile(fromRoot("src/README.md"));
  const table = page.split("## Who may import whom")[1]!.split("\n## ")[0]!;
  const out: Rule[] = [];
  for (const line of table.split("\n")) {
    const cells = line.split("|").map((cell) => cell.trim());
    const folder = /^`(.+)`$/.exec(cells[1] ?? "")?.[1];
    if (!folder) continue;
    const packages = cells[3] ?? "";
    out.push({
      folder,
      imports: [...(cells[2] ?? "").matchAll(/`([^`]+)`/g)].map((match) => match[1]!),
      packages: packages === "any" ? "any" : packages === "none" ? [] : packages.split(/,\s*/),
    });
  }
  return out.sort((a, b) => b.folder.length - a.folder.length);
}

const inside = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

Deno.test("every import follows the table of src/README.md", async () => {
  const table = await rules();
  const wrong: string[] = [];
  let checked = 0;
  for (const file of await sourceFiles(["src", "cli", "main.ts"])) {
    if (file.endsWith("_test.ts")) continue;
    const rule = table.find((candidate) => inside(file, candidate.folder));
    if (!rule) {
      wrong.push(`${file}: its folder is not in the table`);
      continue;
    }
    for (const specifier of await moduleImports(file)) {
      checked++;
      if (specifier.startsWith(".")) {
        const target = relative(fromRoot("."), resolve(fromRoot(dirname(file)), specifier));
        const allowed = [rule.folder, ...rule.imports].some((folder) => inside(target, folder));
        if (!allowed) wrong.push(`${file}: imports ${target}`);
      } else if (rule.packages !== "any") {
        const name = specifier.replace(/^npm:/, "").replace(/^(@[^/]+\/[^/]+|[^/]+).*$/, "$1");
        if (!rule.packages.includes(name)) wrong.push(`${file}: imports package ${specifier}`);
      }
    }
  }
  assert.ok(checked > 50, `only ${checked} imports were seen`);
  assert.deepEqual(wrong, []);
});
