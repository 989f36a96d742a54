import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** `path` inside the checkout as an absolute path. */
export function fromRoot(path: string): string {
  return ROOT + path;
}

/** All TypeScript files under the given paths, relative to the checkout, sorted. */
export async function sourceFiles(paths: readonly string[]): Promise<string[]> {
  const out: string[] = [];
  const visit = async (path: string) => {
    const info = await Deno.stat(fromRoot(path)).catch(() => undefined);
    if (info?.isFile && path.endsWith(".ts")) out.push(path);
    if (!info?.isDirectory) return;
    for await (const entry of Deno.readDir(fromRoot(path))) await visit(`${path}/${entry.name}`);
  };
  for (const path of paths) await visit(path);
  return out.sort();
}

/** The text with comments and the contents of strings blanked out, lines kept. */
export function codeOnly(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (match) => match.replace(/[^\n]/g, " "))
    .replace(/(^|[^:"'`])\/\/[^\n]*/g, "$1")
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
}

/** Specifiers of all static, dynamic and type imports and re-exports of a file. */
export async function moduleImports(file: string): Promise<string[]> {
  const text = (await Deno.readTextFile(fromRoot(file))).replace(/\/\*[\s\S]*?\*\//g, "");
  const pattern =
    /(?:^|[\s;])(?:import|export)\s[^"';]*?from\s*["']([^"']+)["']|(?:^|[\s;])import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3]!);
}
