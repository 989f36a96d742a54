import assert from "node:assert/strict";
import { withLazyModules } from "./lazy_modules.ts";

const BUNDLED = `import { EventEmitter } from "node:events";
import fs from "node:fs";
import path2 from "node:path";
import { stripVTControlCharacters as strip2 } from "node:util";
import { stripVTControlCharacters } from "node:util";
var CommanderError = class extends Error {};
export const seen = [
  path2.basename("/a/b"), fs.existsSync("/"), strip2("\\x1b[1mx\\x1b[0m"), stripVTControlCharacters("y"),
];
`;

Deno.test("modules that the parser seldom needs load when they are used, and work then", async () => {
  const text = withLazyModules(BUNDLED);
  assert.deepEqual([...text.matchAll(/^import .*$/gm)].map(String), [
    'import { EventEmitter } from "node:events";',
  ]);
  const { seen } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  assert.deepEqual(seen, ["b", true, "x", "y"]);
});

Deno.test("other files stay as they are", () => {
  const text = 'import fs from "node:fs";\nfs.existsSync("/");\n';
  assert.equal(withLazyModules(text), text);
});
