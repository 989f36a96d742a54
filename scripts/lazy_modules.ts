/**
 * The parser of the command line imports modules of Node's at its start that it needs for commands in files of
 * their own only, which fleet has none of; loading them takes 10 ms of every command's 80.
 */
const LAZY =
  "const fleetLazy=(name)=>new Proxy({},{get:(_,key)=>globalThis.process.getBuiltinModule(name)[key]});\n";
const DEFAULT_IMPORT = /^import (\w+) from "(node:(?:child_process|fs|path))";$/gm;
const STRIP_IMPORT = /^import \{ (stripVTControlCharacters)(?: as (\w+))? \} from "node:util";$/gm;

/** `text`, a bundled file with commander in it, with those modules loaded when they are first used. */
export function withLazyModules(text: string): string {
  if (!text.includes("class CommanderError") && !text.includes("CommanderError = class")) {
    return text;
  }
  const lazy = text
    .replace(DEFAULT_IMPORT, 'const $1 = fleetLazy("$2");')
    .replace(STRIP_IMPORT, (_, name: string, alias = name) =>
      // Only what has an escape in it has anything to strip.
      `const ${alias} = (text) => text.includes("\\x1b") ? fleetLazy("node:util").${name}(text) : text;`);
  return lazy === text ? text : LAZY + lazy;
}
