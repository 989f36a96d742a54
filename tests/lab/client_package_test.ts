/** The npm package of the client: what is packed, and that Node and Deno can use it as it would be published. */
import assert from "node:assert/strict";
import { FleetApiError, FleetClient } from "../../client/mod.ts";
import { FakeAgent, refusal } from "../../cli/testing/fake_agent.ts";
import { fromRoot } from "../../scripts/run.ts";
import { capture, must } from "../../src/adapters/lab_hosts/process.ts";

const SERVICE = { ID: "s1", Version: { Index: 7 }, Spec: { Name: "web", Labels: { a: "b" } } };

function agent(): FakeAgent {
  return new FakeAgent(({ method, path }) => {
    if (path === "/events") {
      const lines = ["create", "remove"].map((Action) =>
        `${JSON.stringify({ Type: "service", Action, Actor: { ID: "s1" } })}\n`
      );
      return new Response(lines.join(""));
    }
    if (method === "DELETE") return refusal(404, "service nothing not found");
    if (path === "/services/create") return Response.json({ ID: "s2" }, { status: 201 });
    if (path === "/services/web") return SERVICE;
    if (path.endsWith("/update")) return {};
    return [];
  });
}

Deno.test("the client speaks the API", async () => {
  await using fake = agent();
  const fleet = new FleetClient({ host: fake.host });
  assert.deepEqual(await fleet.createService({ Name: "x" }), { ID: "s2" });
  await fleet.scale("web", 5);
  const update = fake.writes.at(-1)!;
  assert.deepEqual([update.path, update.query], ["/services/s1/update", { version: "7" }]);
  assert.deepEqual(update.body, { ...SERVICE.Spec, Mode: { Replicated: { Replicas: 5 } } });
  await fleet.tasks({ service: ["web"] });
  assert.equal(fake.requests.at(-1)!.query["filters"], '{"service":["web"]}');
  const seen = [];
  for await (const event of fleet.events()) seen.push(event.Action);
  assert.deepEqual(seen, ["create", "remove"]);
  await assert.rejects(
    fleet.removeService("nothing"),
    (error) =>
      error instanceof FleetApiError && error.status === 404 && /nothing/.test(error.message),
  );
  assert.throws(() => new FleetClient({ host: "nowhere" }), /invalid host/);
});

Deno.test("the packed client is what is published, and Node installs and uses it", async () => {
  await using fake = agent();
  const folder = await Deno.makeTempDir({ prefix: "fleet-client-" });
  try {
    const tarball = `${folder}/client.tgz`;
    await must([Deno.execPath(), "pack", "--allow-dirty", "--quiet", "--output", tarball], {
      cwd: fromRoot("client"),
    });
    const files = (await must(["tar", "tzf", tarball])).trim().split("\n").sort();
    assert.deepEqual(files, [
      "package/README.md",
      "package/mod.d.ts",
      "package/mod.js",
      "package/package.json",
      "package/types.d.ts",
      "package/types.js",
    ]);
    await Deno.writeTextFile(`${folder}/package.json`, '{"name":"user","type":"module"}');
    await must(["npm", "install", "--offline", "--no-audit", "--no-fund", tarball], {
      cwd: folder,
      env: { npm_config_update_notifier: "false" },
    });
    await Deno.writeTextFile(
      `${folder}/main.js`,
      `import { FleetClient, FleetApiError } from "@fleet/client";
const fleet = new FleetClient({ host: process.argv[2] });
const { ID } = await fleet.createService({ Name: "x" });
await fleet.scale("web", 2);
const actions = [];
for await (const event of fleet.events()) actions.push(event.Action);
const refused = await fleet.removeService("nothing").catch((e) => e instanceof FleetApiError && e.status);
console.log(ID, actions.join(), refused);
`,
    );
    const { code, stdout, stderr } = await capture(["node", "main.js", fake.host], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "s2 create,remove 404\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
