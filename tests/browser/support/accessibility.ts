import axe from "axe-core";
import type { Page } from "playwright-core";

/** What makes a page hard to use for some, by axe-core: only what it calls serious or critical. */
export async function violations(page: Page): Promise<readonly string[]> {
  // Given to the page by the debugger, which its policy does not bind.
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: {
        run(context: unknown): Promise<{
          violations: {
            id: string;
            impact: string;
            help: string;
            nodes: { target: string[]; failureSummary: string }[];
          }[];
        }>;
      };
    };
    // What a program writes into a terminal has the program's colours.
    const found = await axe.run({ exclude: [[".xterm"]] });
    return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, help, nodes }) =>
        `${id}: ${help}: ${
          nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`)
        }`
      );
  });
}
