import { FleetError } from "../../src/base/errors.ts";
import type { ApiTask } from "../api_types.ts";
import { filtersText } from "../query.ts";
import { addPsFlags, printTasks } from "../tasks.ts";
import type { PsFlags } from "../tasks.ts";
import type { Verb } from "../verb.ts";
import { stackFilter } from "./observe.ts";

export const verb: Verb<PsFlags> = {
  define(command) {
    addPsFlags(command.argument("<stack>", "Name")).examples("fleet stack ps shop");
  },
  async run(context, [stack = ""], flags) {
    const tasks = await context.client.get<ApiTask[]>("/tasks", {
      query: { filters: filtersText(flags.filter, stackFilter(stack)) },
    });
    if (tasks.length === 0) throw new FleetError("not-found", `nothing found in stack: ${stack}`);
    await printTasks(context, stackFilter(stack), flags);
  },
};
