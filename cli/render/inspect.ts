import { compileTemplate } from "../../src/base/template/template.ts";
import { toYaml } from "./yaml.ts";

/** Inspected objects: a JSON array, or each through a `--format` template. @throws FleetError invalid */
export function renderInspect(objects: readonly unknown[], format: string | undefined): string {
  if (format === undefined || format === "" || format === "json") {
    if (format === "json") return objects.map((object) => `${JSON.stringify(object)}\n`).join("");
    return objects.length === 0 ? "[]\n" : `${JSON.stringify(objects, null, 4)}\n`;
  }
  if (format === "yaml") return objects.length === 0 ? "[]\n" : toYaml(objects);
  const run = compileTemplate(format);
  return objects.map((object) => `${run(object)}\n`).join("");
}
