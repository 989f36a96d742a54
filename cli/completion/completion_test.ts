import assert from "node:assert/strict";
import { everyPage } from "../man/man.ts";
import { FakeAgent } from "../testing/fake_agent.ts";
import { FakeEnvironment, runFleet } from "../testing/fake_environment.ts";

const NAMES: Readonly<Record<string, unknown>> = {
  "/services": [
    { Spec: { Name: "web", TaskTemplate: { ContainerSpec: { Image: "nginx" } } } },
    { Spec: { Name: "worker" } },
    { Spec: { Name: "db" } },
  ],
  "/nodes": [{ Spec: {}, Description: { Hostname: "h1" }, Status: { State: "ready" } }],
  "/networks": [{ Name: "back" }],
};

async function values(...words: string[]): Promise<string[]> {
  await using agent = new FakeAgent(({ path }) => NAMES[path]);
  const { out } = await runFleet(["__complete", ...words], { host: agent.host });
  return out.split("\n").filter((line) => line !== "").map((line) => line.split("\t")[0]!);
}

Deno.test("commands, verbs and flags complete from their definitions", async () => {
  assert.deepEqual(await values("serv"), ["service"]);
  assert.deepEqual(await values("service", "lo"), ["logs"]);
  assert.deepEqual(await values("-H", "unix:///x", "node", "dr"), ["drain"]);
  assert.deepEqual(await values("service", "scale", "--det"), ["--detach"]);
  assert.deepEqual(await values("node", "update", "--availability", "d"), ["drain"]);
  assert.deepEqual(await values("nonsense", ""), []);
});

Deno.test("names are those there are now, and not twice", async () => {
  assert.deepEqual(await values("service", "rm", "w"), ["web", "worker"]);
  assert.deepEqual(await values("service", "rm", "web", "w"), ["worker"]);
  assert.deepEqual(await values("node", "drain", ""), ["h1"]);
  assert.deepEqual(await values("service", "create", "--network", ""), ["back"]);
  assert.deepEqual(await values("backup", ""), [":files"]);
  assert.deepEqual(await values("service", "scale", "w"), ["web", "worker"]);
  assert.deepEqual(await values("list", "we"), ["web"]);
  assert.deepEqual(await values("join-token", ""), ["worker", "manager"]);
  assert.deepEqual(await values("completion", ""), ["bash", "zsh", "fish"]);
  assert.deepEqual(await values("lab", "exec", "h2"), ["h2"]);
});

Deno.test("names come from the cluster that is in use, or that a flag names", async () => {
  await using agent = new FakeAgent(({ path }) => NAMES[path]);
  const contexts = {
    current: "lab",
    contexts: { lab: { host: agent.host }, far: { host: "ssh://ann@far" } },
  };
  const names = async (...words: string[]) => {
    const { out } = await runFleet(["__complete", ...words], {
      variables: { FLEET_CONFIG: "/config" },
      files: { "/config/contexts.json": JSON.stringify(contexts) },
    });
    return out.split("\n").filter(Boolean).map((line) => line.split("\t")[0]);
  };
  assert.deepEqual(await names("exec", "w"), ["web", "worker"]);
  assert.deepEqual(await names("ssh", ""), ["h1"]);
  assert.deepEqual(await names("context", "use", ""), ["default", "far", "lab"]);
  assert.deepEqual(await names("-c", "far", "ssh", ""), []);
  assert.deepEqual(await names("-c", "default", "machine", "rm", ""), []);
});

Deno.test("without an agent nothing is said and nothing fails", async () => {
  const { code, out, err } = await runFleet(["__complete", "service", "rm", ""], {
    host: "unix:///nowhere/fleet.sock",
  });
  assert.deepEqual([code, out, err], [0, "", ""]);
});

const shellThere = (shell: string) =>
  ["/bin", "/usr/bin", "/usr/local/bin"].some((folder) => {
    try {
      return Deno.statSync(`${folder}/${shell}`).isFile;
    } catch {
      return false;
    }
  });

for (const shell of ["bash", "zsh", "fish"]) {
  Deno.test({
    name: `${shell} takes the script`,
    ignore: !shellThere(shell),
    async fn() {
      const { out } = await runFleet(["completion", shell]);
      const folder = await Deno.makeTempDir();
      try {
        await Deno.writeTextFile(`${folder}/script`, out);
        const { success, stderr } = await new Deno.Command(shell, {
          args: ["-n", `${folder}/script`],
        }).output();
        assert(success, new TextDecoder().decode(stderr));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

Deno.test("bash asks fleet and offers what it says", async () => {
  const { out: script } = await runFleet(["completion", "bash"]);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/fleet`,
      '#!/bin/sh\nshift; [ "$*" = "service rm w" ] && printf "web\\tnginx\\nworker\\n"\n',
      { mode: 0o755 },
    );
    const { stdout } = await new Deno.Command("bash", {
      args: [
        "-c",
        `${script}\nCOMP_WORDS=(fleet service rm w) COMP_CWORD=3; _fleet; echo "\${COMPREPLY[@]}"`,
      ],
      env: { PATH: `${folder}:/usr/bin:/bin` },
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "web worker\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("every command has a manual page that names its flags", async () => {
  const pages = await everyPage({ env: new FakeEnvironment() });
  assert(pages.size > 60);
  const page = pages.get("fleet-service-scale")!;
  assert.match(page, /^\.TH FLEET\\-SERVICE\\-SCALE 1/);
  assert.match(page, /^\.B \\-d, \\-\\-detach$/m);
  assert.match(page, /^\.SH EXAMPLES\n\.nf\nfleet service scale/m);
  assert.match(pages.get("fleet")!, /^\.SH COMMANDS[^]*fleet\\-service/m);
});
