/** Runs the blocks of commands of the guide, page by page, on three hosts; see guide_blocks.ts for the others. */
import assert from "node:assert/strict";
import { fromRoot } from "../../scripts/run.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";
import { type Block, blocksOf, guidePages } from "../support/guide_blocks.ts";
import { until } from "../support/until.ts";
import { writeFleetOfLab } from "../support/typed.ts";

const NAME = "guide";
const AGENT_ARGS = ["--ui-addr", "127.0.0.1:2380", "--metrics-addr", "127.0.0.1:9323"];
/** What README.md deploys. */
const COMPOSE = `services:
  db: { image: "busybox:latest", command: sleep 100000, stop_grace_period: 1s }
`;
/** What a block leaves to the next one; which agent is meant only where no host says it. */
const KEPT = ["token", "manager"];
const KEPT_HERE = ["DOCKER_HOST", "FLEET_HOST"];

/** Values of a session that somebody else had, as they are in this lab. */
function asHere(script: string, lab: FleetLab): string {
  return script.replaceAll("10.77.0.1", lab.host("h1").address)
    .replaceAll(/SWMTKN-1-\S*…/g, "$(fleet join-token -q worker)");
}

/** What one block sets, the next one has, on whichever host, as for a person with several windows. */
async function runBlock(lab: FleetLab, block: Block, folder: string): Promise<string> {
  let said = "";
  const state = `${folder}/${block.page.replaceAll("/", "_")}.state`;
  for (const name of block.hosts) {
    const here = name === "here";
    const address = lab.host(here ? "h1" : name).address;
    const script = `cd ${folder}; [ ! -f ${state} ] || . ${state}; ADDRESS=${address}
set -e
${asHere(block.script, lab)}
set +e
for name in ${[...KEPT, ...here ? KEPT_HERE : []].join(" ")}; do
  eval "[ -z \\"\\$$name\\" ] || printf \\"export $name='%s'\\n\\" \\"\\$$name\\""
done >${state}`;
    const options = { timeoutMs: 300_000 };
    const output = here
      ? await capture(["sh", "-c", script], {
        ...options,
        env: { PATH: `${folder}/bin:${Deno.env.get("PATH")}` },
      })
      : await lab.host(name).exec(["sh", "-c", script], options);
    assert.equal(
      output.code,
      0,
      `${block.page}:${block.line} on ${name}:\n${output.stdout}${output.stderr}`,
    );
    said += output.stdout + output.stderr;
  }
  return said;
}

/** The next page begins with nodes that are in no cluster. */
async function leave(lab: FleetLab, name: string): Promise<void> {
  let said = "";
  await until(`${name} is in no cluster`, async () => {
    const format = ["--format", "{{.Swarm.LocalNodeState}}"];
    if ((await lab.try(name, "info", ...format)).stdout === "inactive\n") return true;
    const { stdout, stderr } = await lab.try(name, "leave", "--force");
    said += stdout + stderr;
    return false;
  }, 120_000).catch((error) => assert.fail(`${error}: ${said}`));
}

async function runPage(lab: FleetLab, blocks: readonly Block[], folder: string): Promise<void> {
  for (const block of blocks) {
    const said = await runBlock(lab, block, folder);
    if (block.expect) assert.match(said, block.expect, `${block.page}:${block.line}`);
  }
}

Deno.test("the guide's commands do what it says", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "fleet-guide-" });
  try {
    await writeFleetOfLab(`${folder}/bin`, NAME);
    await Deno.writeTextFile(`${folder}/compose.yaml`, COMPOSE);
    await withFleetLab(NAME, 3, async (lab) => {
      for (const page of await guidePages()) {
        const text = await Deno.readTextFile(fromRoot(page));
        const blocks = blocksOf(page, text).filter(({ hosts }) => hosts.length > 0);
        if (blocks.length === 0) continue;
        await t.step(`${page}: ${blocks.length} blocks`, async () => {
          try {
            await runPage(lab, blocks, folder);
          } finally {
            for (const { name } of lab.lab.hosts) await leave(lab, name);
          }
        });
      }
    }, { agentArgs: AGENT_ARGS });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
