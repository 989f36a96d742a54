import { deepStrictEqual } from "node:assert/strict";
import { labels, list, obj, opt, str, withNamesOf } from "./json.ts";

const Schema = obj({
  Name: opt(str),
  Labels: opt(labels),
  Parts: opt(list(obj({ Kind: opt(str) }))),
});

Deno.test("names of fields: any case is taken, the right one wins, those in maps and unknown ones stay", () => {
  deepStrictEqual(
    withNamesOf(Schema, {
      name: "a",
      labels: { name: "b", Kind: "c" },
      PARTS: [{ kind: "d" }, "e", null],
      other: { name: 1 },
    }),
    {
      Name: "a",
      Labels: { name: "b", Kind: "c" },
      Parts: [{ Kind: "d" }, "e", null],
      other: { name: 1 },
    },
  );
  deepStrictEqual(withNamesOf(Schema, { name: "a", Name: "b", NAME: "c" }), { Name: "b" });
  deepStrictEqual(withNamesOf(Schema, JSON.parse('{"__proto__":{"Name":"x"},"constructor":1}')), {
    constructor: 1,
  });
  deepStrictEqual(withNamesOf(Schema, [1]), [1]);
  deepStrictEqual(withNamesOf(Schema, "x"), "x");
});
