import { DEFAULT_HOST } from "../client.ts";
import { renderList } from "../render/list.ts";
import type { ListShape } from "../render/list.ts";
import type { Verb } from "../verb.ts";
import { DEFAULT_CONTEXT, readContexts } from "./store.ts";

const SHAPE: ListShape = {
  headers: { Name: "NAME", Description: "DESCRIPTION", Host: "HOST", Current: "CURRENT" },
  columns: ["Name", "Description", "Host"],
  id: "Name",
};

export const verb: Verb<{ readonly format?: string; readonly quiet?: boolean }> = {
  define(command) {
    command.value("--format <string>", "table, 'table TEMPLATE', json, yaml, or a Go template")
      .flag("-q, --quiet", "Print names only")
      .examples("fleet context ls");
  },
  async run({ env }, _args, flags) {
    const { current, contexts } = await readContexts(env);
    const here = { host: DEFAULT_HOST, description: "This machine's agent" };
    const all = Object.entries({ [DEFAULT_CONTEXT]: here, ...contexts });
    const mark = (name: string) => name === current && !flags.quiet && !flags.format ? " *" : "";
    const rows = all.sort(([a], [b]) => a < b ? -1 : 1).map(([name, context]) => ({
      Name: `${name}${mark(name)}`,
      Description: context.description ?? "",
      Host: context.host,
      Current: String(name === current),
    }));
    env.stdout.write(renderList(SHAPE, rows, flags));
  },
};
