import assert from "node:assert/strict";
import { meaning, recordDeploy } from "../../tests/support/stack_recorder.ts";
import type { Written } from "../../tests/support/stack_recorder.ts";
import { runFleet } from "../testing/fake_environment.ts";

const FOLDER = new URL("../testdata/stack/", import.meta.url);

/** The folder's files as they lie in the working directory of the fake world. */
function files(): Record<string, string> {
  const out: Record<string, string> = {};
  for (const { name } of Deno.readDirSync(FOLDER)) {
    const text = Deno.readTextFileSync(new URL(name, FOLDER));
    out[name] = text;
    out[`/work/${name}`] = text;
  }
  return out;
}

async function deployed(...composeFiles: string[]): Promise<Written[]> {
  return await recordDeploy(async (host) => {
    const flags = composeFiles.flatMap((file) => ["-c", file]);
    const { code, err } = await runFleet(
      ["stack", "deploy", "--resolve-image", "never", "--detach", ...flags, "shop"],
      { host, files: files(), variables: { HOSTVAR: "hv", HOME: "/root" } },
    );
    assert.equal(code, 0, err);
  });
}

/** What fleet does with keys that Docker's client drops without a word. */
function withoutIntended(written: readonly Written[]): unknown {
  return written.map((each) => {
    const copy = structuredClone(each) as {
      body: {
        Name: string;
        Labels?: Record<string, string>;
        TaskTemplate?: { ContainerSpec: Record<string, unknown> & { Mounts?: Mount[] } };
      };
    };
    const container = copy.body.TaskTemplate?.ContainerSpec;
    // depends_on is honoured, so it must be known in the cluster.
    delete copy.body.Labels?.["io.fleet.depends-on"];
    if (container && copy.body.Name === "shop_web") {
      delete container["OomScoreAdj"];
      // The short tmpfs, and the mode of a long one.
      container.Mounts = container.Mounts?.filter((mount) => mount.Target !== "/run") ?? [];
      for (const mount of container.Mounts) delete mount.TmpfsOptions?.Mode;
    }
    return { path: each.path, body: meaning(copy.body) };
  });
}

interface Mount {
  Target: string;
  TmpfsOptions?: { Mode?: number };
}

const CASES: Readonly<Record<string, string[]>> = {
  full: ["full.yaml"],
  merged: ["base.yaml", "over.yaml"],
};

for (const [name, composeFiles] of Object.entries(CASES)) {
  Deno.test(`stack deploy sends what Docker's client sends: ${name}`, async () => {
    const recorded = JSON.parse(Deno.readTextFileSync(new URL(`${name}.docker.json`, FOLDER)));
    assert.deepEqual(withoutIntended(await deployed(...composeFiles)), recorded);
  });
}
