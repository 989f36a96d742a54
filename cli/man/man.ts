import { COMMANDS } from "../commands.ts";
import { EXIT_CODES_HELP } from "../exit_codes.ts";
import { FleetCommand } from "../fleet_command.ts";
import type { Entry, Verb, VerbContext } from "../verb.ts";
import { manPage } from "./page.ts";

export const verb: Verb<{ readonly output?: string }> = {
  define(command) {
    command.argument("[command...]", "Print the page of this command instead")
      .value("--output <folder>", "Write every page there (default .)")
      .examples(
        "fleet man service create | man -l -",
        "fleet man --output /usr/local/share/man/man1",
      );
  },
  async run(context, words, { output }) {
    const pages = await everyPage(context);
    if (words.length > 0) {
      const name = ["fleet", ...words].join("-");
      const page = pages.get(name);
      if (page === undefined) {
        context.warn(`there is no page ${name}`);
        return 2;
      }
      return context.env.stdout.write(page);
    }
    const folder = output ?? ".";
    for (const [name, page] of pages) {
      await context.env.replaceFile(`${folder}/${name}.1`, new TextEncoder().encode(page), 0o644);
    }
    context.print(`${pages.size} pages written to ${folder}`);
  },
};

/** All pages by name, `fleet-service-create`. */
export async function everyPage({ env }: Pick<VerbContext, "env">): Promise<Map<string, string>> {
  const pages = new Map<string, string>();
  const { version } = env.build;
  const visit = async (path: string, entry: Entry): Promise<void> => {
    const children = Object.entries(entry.verbs ?? {}).filter(([, { hidden }]) => !hidden);
    const command = new FleetCommand(path);
    if (entry.load) (await entry.load()).verb.define(command);
    pages.set(
      path.replaceAll(" ", "-"),
      manPage({
        path,
        summary: entry.summary,
        usage: entry.verbs ? "COMMAND" : command.usage(),
        after: entry.verbs ? (path === "fleet" ? EXIT_CODES_HELP : "") : helpAfter(command),
        children: children.map(([name, { summary }]) => ({ name, summary })),
        version,
        ...(entry.load ? { command } : {}),
      }),
    );
    for (const [name, child] of children) await visit(`${path} ${name}`, child);
  };
  await visit("fleet", { summary: "Run services on a cluster of Docker hosts", verbs: COMMANDS });
  return pages;
}

/** What `addHelpText("after", …)` added: the help without its usual part. */
function helpAfter(command: FleetCommand): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => text += part, getOutHelpWidth: () => 100 });
  command.outputHelp();
  return text.slice(command.helpInformation().length);
}
