import assert from "node:assert/strict";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import type { SeenRequest } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";

const TOKEN = "SWMTKN-1-worker";
const NODES = [
  {
    ID: "n1",
    Version: { Index: 1 },
    Spec: { Role: "manager" },
    Description: { Hostname: "h1" },
    Status: { State: "ready", Addr: "10.0.0.1" },
    ManagerStatus: { Addr: "10.0.0.1:2377", Leader: true },
  },
  {
    ID: "n2",
    Version: { Index: 2 },
    Spec: { Role: "worker", Labels: { "fleet.ssh": "ann@far:2222" } },
    Description: { Hostname: "h2", Engine: { EngineVersion: "20.10.24" } },
    Status: { State: "ready", Addr: "10.0.0.2" },
  },
  {
    ID: "n3",
    Version: { Index: 3 },
    Spec: { Role: "manager" },
    Description: { Hostname: "h3" },
    Status: { State: "ready" },
    ManagerStatus: { Addr: "10.0.0.3:2377" },
  },
];

/** Three nodes, of which one was added over SSH; a manager that is made a worker is one at once. */
function cluster(request: SeenRequest): unknown {
  const { method, path } = request;
  const [, id, update] = /^\/nodes\/(\w+)(\/update)?$/.exec(path) ?? [];
  if (method === "DELETE") return new Response(null, { status: 204 });
  if (update) return {};
  if (path === "/nodes") return NODES;
  if (path === "/info") return { Swarm: { NodeID: "n1" } };
  if (path === "/swarm") {
    return { JoinTokens: { Worker: TOKEN, Manager: "SWMTKN-1-manager" }, Spec: {}, Version: {} };
  }
  const node = NODES.find(({ ID, Description }) => ID === id || Description.Hostname === id);
  return node ?? refusal(404, `node ${id} not found`);
}

Deno.test("machine add sends the token by the input, never in an argument", async () => {
  let looks = 0;
  await using agent = new FakeAgent((request) => {
    if (request.path !== "/nodes/n2" || ++looks > 2) return cluster(request);
    // Just joined: not there, then without a name.
    return looks === 1 ? refusal(404, "node n2 not found") : { ...NODES[1], Description: {} };
  });
  const { code, env, err } = await runFleet(["machine", "add", "--no-install", "ann@far:2222"], {
    host: agent.host,
    ssh: "This node joined a swarm as a worker.\nnode=n2\n",
  });
  assert.equal(code, 0, err);
  const [call, ...others] = env.sshCalls;
  assert.equal(others.length, 0);
  assert.deepEqual([call!.destination, call!.input], ["ann@far:2222", `${TOKEN}\n`]);
  assert.match(call!.script, /fleet join --token-file - '\\''10\.0\.0\.1:2377'\\''/);
  assert(!call!.script.includes(TOKEN));
  assert.equal(
    env.out.text,
    "This node joined a swarm as a worker.\nh2 is ann@far:2222\n",
  );
  assert.deepEqual(agent.writes.map(({ path, body }) => ({ path, body })), [
    { path: "/nodes/n2/update", body: { Role: "worker", Labels: { "fleet.ssh": "ann@far:2222" } } },
  ]);
});

Deno.test("machine add hands over this executable, its checksum and install.sh", async () => {
  await using agent = new FakeAgent(cluster);
  const { code, env, err } = await runFleet(["machine", "add", "far"], {
    host: agent.host,
    executable: "/opt/fleet",
    files: { "/opt/fleet": "abc" },
  });
  assert.equal(code, 0, err);
  const [install, join] = env.sshCalls;
  assert.equal(install!.input, "abc");
  // SHA-256 of "abc", FIPS 180-2 appendix B.1.
  assert.match(install!.script, /ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/);
  assert.match(install!.script, /^echo .*installs/m);
  assert.match(join!.script, /fleet join/);
  const source = await runFleet(["machine", "add", "far"], { host: agent.host });
  assert.match(source.err, /runs from source: give --from or --no-install/);
});

Deno.test("what is no machine is refused, and nothing is run", async () => {
  for (const machine of ["-oProxyCommand=x", "a b", "x;reboot", "a@-oX", ""]) {
    for (const verb of ["env", "add", "rm"]) {
      const { code, env } = await runFleet(["machine", verb, "--", machine]);
      assert.deepEqual([code, env.sshCalls.length], [2, 0], `${verb} ${machine}`);
    }
  }
});

Deno.test("machine rm asks, and without a terminal wants --yes", async () => {
  const { code, err, env } = await runFleet(["machine", "rm", "far"]);
  assert.equal(code, 2);
  assert.match(err, /give --yes/);
  assert.equal(env.sshCalls.length, 0);
});

Deno.test("machine rm by the node's name: by its label, and the cluster forgets it", async () => {
  await using agent = new FakeAgent(cluster);
  const { code, env, out, err } = await runFleet(["machine", "rm", "--yes", "--uninstall", "h2"], {
    host: agent.host,
  });
  assert.equal(code, 0, err);
  assert.deepEqual(env.sshCalls.map(({ destination }) => destination), [
    "ann@far:2222",
    "ann@far:2222",
  ]);
  assert.match(env.sshCalls[0]!.script, /fleet leave --force/);
  assert.match(env.sshCalls[1]!.script, /--uninstall --purge --yes/);
  assert.equal(env.sshCalls[1]!.input, "echo 'installs'\n");
  assert.deepEqual(agent.writes.map(({ method, path }) => `${method} ${path}`), [
    "DELETE /nodes/n2",
  ]);
  assert.match(out, /h2 is forgotten\.\n$/);
});

Deno.test("machine rm makes a manager a worker first, and waits for it", async () => {
  let looks = 0;
  await using agent = new FakeAgent((request) => {
    if (request.path !== "/nodes/n3" || request.method !== "GET") return cluster(request);
    const { ManagerStatus, ...worker } = NODES[2]!;
    // It led: for a moment nobody does.
    if (looks === 2) {
      looks++;
      return refusal(503, "no leader");
    }
    return ++looks < 4 ? { ...worker, ManagerStatus } : worker;
  });
  const { code, err } = await runFleet(["machine", "rm", "-y", "h3"], { host: agent.host });
  assert.equal(code, 0, err);
  assert.deepEqual(agent.writes.map(({ method, path }) => `${method} ${path}`), [
    "POST /nodes/n3/update",
    "DELETE /nodes/n3",
  ]);
  assert.equal(looks, 4);
});

Deno.test("machine rm of one that is gone: only by force", async () => {
  await using agent = new FakeAgent(cluster);
  const gone = { host: agent.host, sshCode: 255 };
  const refused = await runFleet(["machine", "rm", "-y", "h2"], gone);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /ann@far:2222: it did not work \(exit code 255\)/);
  assert.deepEqual(agent.writes, []);
  const forced = await runFleet(["machine", "rm", "-y", "--force", "h2"], gone);
  assert.equal(forced.code, 0, forced.err);
  assert.equal(agent.writes.length, 1);
});

Deno.test("machine env takes a node's name, and anything else as it is", async () => {
  await using agent = new FakeAgent(cluster);
  const env = async (name: string) =>
    (await runFleet(["machine", "env", name], { host: agent.host })).out;
  assert.equal(await env("h2"), "export FLEET_HOST=ssh://ann@far:2222\n");
  assert.equal(await env("h1"), "export FLEET_HOST=ssh://10.0.0.1\n");
  assert.equal(await env("bob@elsewhere"), "export FLEET_HOST=ssh://bob@elsewhere\n");
  const nobody = await runFleet(["machine", "env", "h2"], { host: "unix:///nowhere/fleet.sock" });
  assert.equal(nobody.out, "export FLEET_HOST=ssh://h2\n");
});

Deno.test("ssh goes as the node was added, or to its address; flags go before", async () => {
  await using agent = new FakeAgent(cluster);
  const login = async (...args: string[]) => {
    const { code, err, env } = await runFleet(["ssh", ...args], { host: agent.host });
    return err === "" ? { code, ...env.logins[0]! } : err;
  };
  assert.deepEqual(await login("h2"), {
    code: 7,
    host: "far",
    user: "ann",
    port: 2222,
    command: [],
  });
  assert.deepEqual(await login("h1", "-t", "--", "df", "-h"), {
    code: 7,
    host: "10.0.0.1",
    tty: true,
    command: ["df", "-h"],
  });
  assert.deepEqual(await login("-l", "bob", "-p", "22", "h2", "ls"), {
    code: 7,
    host: "far",
    user: "bob",
    port: 22,
    command: ["ls"],
  });
  assert.match(String(await login("h3")), /nothing says how ssh reaches h3: fleet node update/);
  assert.match(String(await login("h9")), /node h9 not found/);
});

Deno.test("ssh through the machine that the agent is reached by", async () => {
  await using agent = new FakeAgent(cluster);
  const login = async (node: string) => {
    const { env, err } = await runFleet(["-H", "ssh://root@office:22", "ssh", node], {
      variables: { TUNNEL: agent.host },
    });
    assert.equal(err, "");
    return env.logins[0]!;
  };
  assert.deepEqual(await login("h2"), {
    host: "far",
    user: "ann",
    port: 2222,
    jump: "root@office:22",
    command: [],
  });
  assert.deepEqual(await login("self"), { host: "office", user: "root", port: 22, command: [] });
});
