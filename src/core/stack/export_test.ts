import { deepStrictEqual, match } from "node:assert/strict";
import { configText } from "./config_text.ts";
import { desiredStack } from "./desired.ts";
import { specDifferences } from "./differences.ts";
import { exportStack } from "./export.ts";
import { loadStack } from "./load.ts";

const FOLDER = new URL("../../../cli/testdata/stack/", import.meta.url);

async function load(...texts: string[]) {
  const { file } = await loadStack(texts.map((text, i) => ({ name: `a${i}.yml`, text })), {
    places: { folder: "/work", home: "/root" },
    lookup: () => undefined,
    readText: () => Promise.resolve("FROMFILE=a$$b $c\n"),
  });
  return file;
}

for (const names of [["full.yaml"], ["base.yaml", "over.yaml"]]) {
  Deno.test(`deploying what stack export prints changes no service: ${names.join(", ")}`, async () => {
    const file = await load(...names.map((name) => Deno.readTextFileSync(new URL(name, FOLDER))));
    const before = desiredStack("shop", file);
    const text = configText(exportStack("shop", {
      services: before.services,
      networks: Object.fromEntries(before.networks.map(({ Name }) => [Name, {}])),
      configs: { shop_c1: "some $text" },
    }));
    const after = desiredStack("shop", await load(text));
    deepStrictEqual(
      after.services.map((next, i) => [next.Name, ...specDifferences(before.services[i]!, next)]),
      before.services.map(({ Name }) => [Name]),
      text,
    );
    match(text, /secrets:\n(.*\n)*? {2}s1:\n {4}name: shop_s1\n {4}external: true\n/);
    deepStrictEqual(after.files.map(({ name, entry }) => [name, entry.content]), [[
      "shop_c1",
      "some $text",
    ]]);
  });
}
