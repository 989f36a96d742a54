import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { nftPatch } from "./nft_patch.ts";

const script = (chains: Record<string, string>) =>
  `table ip fleet\ndelete table ip fleet\ntable ip fleet {\n${
    Object.entries(chains).map(([name, rule]) => `  chain ${name} {\n    ${rule}\n  }\n`).join("")
  }}\n`;

Deno.test("only chains that differ are written, and those that are gone go last", () => {
  const before = script({ a: "accept", b: "jump c", c: "drop" });
  const after = script({ a: "accept", b: "accept", d: "drop" });
  deepStrictEqual(nftPatch(before, after).split("\n"), [
    "flush chain ip fleet b",
    "table ip fleet {",
    "  chain b {",
    "    accept",
    "  }",
    "  chain d {",
    "    drop",
    "  }",
    "}",
    "delete chain ip fleet c",
    "",
  ]);
});

Deno.test("nothing to do is nothing, and from or to nothing it is the whole", () => {
  const some = script({ a: "accept" });
  strictEqual(nftPatch(some, some), "");
  const none = "table ip fleet\ndelete table ip fleet\n";
  strictEqual(nftPatch(none, some), some);
  strictEqual(nftPatch(some, none), none);
  ok(!nftPatch(some, script({ a: "drop" })).includes("delete"));
  match(nftPatch(some, script({ a: "drop" })), /flush chain ip fleet a/);
});
