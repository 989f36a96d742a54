import assert from "node:assert/strict";
import { FleetLab } from "../support/fleet_lab.ts";
import { expectationOf, parseCases, renderCases, UNEXPLAINED } from "../comparison/case_file.ts";
import type { CaseFile, ExpectedLine, Step } from "../comparison/case_file.ts";
import { diffLines } from "../comparison/line_diff.ts";
import { Target } from "../comparison/target.ts";

const FOLDER = new URL("../comparison/cases/", import.meta.url);
/** Behaviours that the files must hold together. */
const FEWEST = 150;
/** Differences of one file that a failure names; the rest are counted. */
const MOST_NAMED = 8;
/** Begins the reason of a difference that is not there every time. */
const MAYBE = "maybe: ";
/** Writes what was seen into the files, to be read over and explained. */
const REWRITE = Deno.env.get("REWRITE_COMPARISON") !== undefined;
/** Prints steps that take longer than a second. */
const TIMES = Deno.env.get("COMPARISON_TIMES") !== undefined;
const ONLY = Deno.env.get("COMPARISON_ONLY");

/**
 * The same script against Docker Swarm (the engine's own, on one host) and against fleet (on another): every
 * difference stands in the case files with its reason, and every one that stands there is still to be seen.
 */
Deno.test("the stock client and plain requests find in fleet what they find in Docker Swarm", async (t) => {
  const lab = await FleetLab.up("compare", 2);
  const folder = await Deno.makeTempDir();
  try {
    const [fleetHost, dockerHost] = lab.lab.hosts;
    const target = async (name: string, host: typeof fleetHost, socket: string) => {
      await Deno.mkdir(`${folder}/${name}`);
      return new Target({
        name: host!.name,
        address: host!.address,
        socket,
        folder: `${folder}/${name}`,
      });
    };
    const fleet = await target("fleet", fleetHost, fleetHost!.layout.fleetSocket);
    const docker = await target("docker", dockerHost, dockerHost!.layout.engineSocket);
    const files = (await Array.fromAsync(Deno.readDir(FOLDER))).map(({ name }) => name).sort();
    let compared = 0;
    for (const name of files) {
      if (ONLY && !name.startsWith("00") && !name.includes(ONLY)) continue;
      const file = parseCases(await Deno.readTextFile(new URL(name, FOLDER)));
      await t.step(name, async () => {
        compared += await compareFile(new URL(name, FOLDER), file, docker, fleet);
      });
    }
    fleet.close();
    docker.close();
    if (!ONLY) assert.ok(compared >= FEWEST, `${compared} behaviours, not ${FEWEST}`);
    console.log(`${compared} behaviours compared`);
  } finally {
    await lab.down();
    await Deno.remove(folder, { recursive: true });
  }
});

async function compareFile(
  url: URL,
  file: CaseFile,
  docker: Target,
  fleet: Target,
): Promise<number> {
  const problems: string[] = [];
  let compared = 0;
  const cases: CaseFile["cases"][number][] = [];
  for (const { title, steps } of file.cases) {
    const seenSteps: Step[] = [];
    for (const step of steps) {
      const [fromDocker, fromFleet] = await Promise.all([
        outcome("Docker", docker, step),
        outcome("fleet", fleet, step),
      ]);
      if (step.kind === "prepare" || step.kind === "wait") {
        seenSteps.push(step);
        for (const failed of [...fromDocker, ...fromFleet]) problems.push(`${title}: ${failed}`);
        continue;
      }
      compared++;
      const expected = expectationOf(diffLines(fromDocker, fromFleet), step.expected);
      seenSteps.push({ ...step, expected });
      problems.push(
        ...judge(expected, step).map((what) => `line ${step.line} (${title}): ${what}`),
      );
    }
    cases.push({ title, steps: seenSteps });
  }
  if (REWRITE) await Deno.writeTextFile(url, renderCases({ head: file.head, cases }));
  const more = problems.length - MOST_NAMED;
  assert.ok(
    problems.length === 0,
    [...problems.slice(0, MOST_NAMED), ...(more > 0 ? [`and ${more} more`] : [])].join("\n"),
  );
  return compared;
}

async function outcome(who: string, target: Target, step: Step): Promise<string[]> {
  const start = performance.now();
  try {
    return await target.run(step);
  } catch (error) {
    return [`${who}: ${error instanceof Error ? error.message : error}`];
  } finally {
    const seconds = (performance.now() - start) / 1000;
    if (TIMES && seconds > 1) console.log(`${seconds.toFixed(1)} s on ${who}: ${step.text}`);
  }
}

/** What of a step is not as the file says. */
function judge(seen: readonly ExpectedLine[], step: Step): string[] {
  const problems = seen.filter(({ reason }) => reason === UNEXPLAINED)
    .map(({ side, text }) => `only ${side}: ${text}`);
  const there = new Set(seen.map(({ side, text }) => `${side} ${text}`));
  for (const { side, text, reason } of step.expected) {
    if (reason?.startsWith(MAYBE)) continue;
    if (!there.has(`${side} ${text}`)) problems.push(`no more ${side}: ${text}`);
  }
  return problems;
}
