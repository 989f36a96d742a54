import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import { toYaml } from "./yaml.ts";

Deno.test("yaml reads like the tables' objects", () => {
  const value = { Name: "web", Labels: {}, Ports: [{ Target: 80, Mode: "yes" }], List: [["a"]] };
  assert.equal(
    toYaml(value),
    'Name: web\nLabels: {}\nPorts:\n  - Target: 80\n    Mode: "yes"\nList:\n  -\n    - a\n'
      .replace("  -\n    - a", "  - - a"),
  );
});

Deno.test("whatever JSON can say comes back the same through a YAML reader", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
    const json = JSON.parse(JSON.stringify(value));
    assert.deepEqual(parse(toYaml(json)), json);
  }));
});
