import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { FakeAgent, refusal } from "./testing/fake_agent.ts";
import { runFleet } from "./testing/fake_environment.ts";
import { answerFixture } from "./testing/fixture.ts";
import { assertGolden } from "./testing/golden.ts";
import type { Entry } from "./verb.ts";

function paths(entries: Readonly<Record<string, Entry>>, before: string[] = []): string[][] {
  return Object.entries(entries).flatMap(([name, entry]) =>
    entry.verbs ? paths(entry.verbs, [...before, name]) : [[...before, name]]
  );
}

Deno.test("every verb has help with an example, and no two flags of one name", async () => {
  let text = "";
  const top = await runFleet(["--help"]);
  for (const path of paths(COMMANDS)) {
    const { code, out, err } = await runFleet([...path, "--help"]);
    assert.deepEqual([code, err], [0, ""], path.join(" "));
    assert.match(out, /Examples:\n {2}\S/, path.join(" "));
    if (path[0] !== "swarm") text += `$ fleet ${path.join(" ")} --help\n${out}\n`;
  }
  assertGolden("help.txt", `$ fleet --help\n${top.out}\n${text}`);
});

Deno.test("help comes by every road", async () => {
  const expected = (await runFleet(["service", "ls", "--help"])).out;
  for (
    const argv of [["help", "service", "ls"], ["service", "help", "ls"], ["service", "ls", "-h"]]
  ) {
    assert.equal((await runFleet(argv)).out, expected);
  }
});

Deno.test("the version is told by flag and by verb", async () => {
  const line = "fleet version 1.2.3, commit abc1234, test, Deno 2.9.6\n";
  for (const argv of [["--version"], ["-v"], ["version"]]) {
    assert.deepEqual((await runFleet(argv)).out, line);
  }
});

Deno.test("wrong usage is exit code 2, with a hint", async () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["nod", "ls"], /unknown command 'nod'\n\(Did you mean node\?\)/],
    [["service", "crate"], /unknown command 'crate'\n\(Did you mean create\?\)/],
    [["service", "ls", "-H", "x"], /error: -H stands before the verb: fleet -H … service ls …/],
    [["info", "--context=x"], /error: --context stands before the verb: fleet --context … info …/],
    [["events", "--filter", "nope=x"], /--filter nope: events know config, .*, type, volume/],
    [["service", "ls", "--quite"], /unknown option '--quite'\n\(Did you mean --quiet\?\)/],
    [["service", "create"], /missing required argument 'image'\nSee "fleet service create --help"/],
    [["service", "scale", "web=-1"], /"web=-1": the number of replicas must be a whole number/],
    [["service", "scale", "web"], /write it as SERVICE=REPLICAS/],
    [["service", "create", "--replicas", "-1", "nginx"], /"-1" is not a whole number from 0 up/],
    [["service", "create", "--tty=perhaps", "nginx"], /'-t, --tty' is true or false/],
    [["service", "create", "--name", "a b", "nginx"], /invalid service name "a b"/],
    [["service", "create", "Bad Image"], /"Bad Image" is no image reference/],
    [["node", "update", "--role", "king", "h1"], /"king" is none of worker, manager/],
    [["join-token", "king"], /tokens for a worker or a manager, not "king"/],
    [["join", "10.0.0.1:2377"], /--token is required/],
    [["update"], /nothing to update/],
    [["ca", "--ca-cert", "x"], /add --rotate/],
    [["secret", "create", "bad name", "-"], /invalid secret name "bad name"/],
    [["secret", "create", "s"], /name the file with the data/],
    [["network", "create", "-x"], /unknown option '-x'/],
    [["lab", "up", "--hosts", "12"], /--hosts is between 1 and 9, not 12/],
    [["lab", "up", "--name", "../x"], /lab name "\.\.\/x"/],
    [["agent", "--log-level", "loud"], /--log-level: "loud" is none of debug, info, warn, error/],
    [["--host", "ftp://x", "node", "ls"], /invalid host "ftp:\/\/x": write it as unix:\/\//],
    [["service"], /Usage: fleet service COMMAND/],
  ];
  for (const [argv, message] of cases) {
    const { code, err, out } = await runFleet(argv);
    assert.equal(code, 2, argv.join(" "));
    assert.match(err, message);
    assert.equal(out, "");
  }
});

Deno.test("no agent, no permission and a refusal are told apart", async () => {
  const none = await runFleet(["node", "ls"], { host: "unix:///nonexistent/fleet.sock" });
  assert.equal(none.code, 1);
  assert.match(none.err, /cannot reach a fleet agent at unix:\/\/\/nonexistent\/fleet\.sock/);
  assert.match(none.err, /Start it with "fleet agent"; "fleet init" starts one by itself/);
  await using agent = new FakeAgent(() => refusal(503, "This node is not a swarm manager."));
  const refused = await runFleet(["-H", agent.host, "node", "ls"]);
  assert.deepEqual(
    [refused.code, refused.err],
    [1, "Error response from daemon: This node is not a swarm manager.\n"],
  );
  await using odd = new FakeAgent(() => new Response("gone away", { status: 502 }));
  const text = await runFleet(["node", "ls"], { host: odd.host });
  assert.equal(text.err, "Error response from daemon: gone away\n");
});

Deno.test("--host wins over FLEET_HOST", async () => {
  await using agent = new FakeAgent(({ path }) => path === "/info" ? {} : []);
  const { code } = await runFleet(["--host", agent.host, "node", "ls"], { host: "unix:///none" });
  assert.equal(code, 0);
  assert.deepEqual(agent.requests.map((request) => request.path).sort(), ["/info", "/nodes"]);
});

Deno.test("node ls tells on a terminal how many managers may fail, and on stderr", async () => {
  const sentence = "1 manager: if it is lost, so is the cluster.";
  await using agent = new FakeAgent(({ path }) =>
    path === "/fleet/info" ? { Tolerance: sentence } : path === "/info" ? {} : []
  );
  const terminal = await runFleet(["node", "ls"], { host: agent.host, isTTY: true });
  assert.equal(terminal.err, `\n${sentence}\n`);
  const script = await runFleet(["node", "ls"], { host: agent.host });
  assert.equal(script.err, "");
});

Deno.test("what no majority confirmed is shown with a warning, once", async () => {
  const headers = { "Fleet-Stale": "true" };
  await using agent = new FakeAgent(({ path }) =>
    Response.json(path === "/info" ? {} : [], { headers })
  );
  const { code, err, out } = await runFleet(["node", "ls"], { host: agent.host });
  assert.equal(code, 0);
  assert.match(err, /^WARNING: no majority of the managers answers: [^\n]* may be out of date\n$/);
  assert.doesNotMatch(out, /WARNING/);
});

Deno.test("agent flags come over the environment, which comes over the defaults", async () => {
  const { code, env } = await runFleet(["agent", "--log-level", "debug", "--hostname", "h9"], {
    variables: { FLEET_DATA_DIR: "/srv/fleet", FLEET_LOG_LEVEL: "error", FLEET_UI_ADDR: ":80" },
  });
  assert.equal(code, 0);
  assert.deepEqual(env.agents, [{
    dataDir: "/srv/fleet",
    socket: "/run/fleet/fleet.sock",
    dockerHost: "unix:///var/run/docker.sock",
    listenAddr: "0.0.0.0:2377",
    logLevel: "debug",
    logFormat: "text",
    settingsFile: "/etc/default/fleet",
    meshBackend: "auto",
    raftTickMs: 100,
    hostname: "h9",
    uiAddr: ":80",
  }]);
});

Deno.test("the API is on TCP only with all that TLS needs", async () => {
  const files = ["--tlscacert", "/ca", "--tlscert", "/cert", "--tlskey", "/key"];
  const { env } = await runFleet(["agent", "--tcp-addr", "tcp://10.0.0.7", ...files]);
  const tcp = { address: "10.0.0.7:2376", ca: "/ca", cert: "/cert", key: "/key" };
  assert.deepEqual((env.agents[0] as { tcp?: unknown }).tcp, tcp);
  for (let left = 0; left < files.length; left += 2) {
    const some = files.filter((_, i) => i !== left && i !== left + 1);
    const refused = await runFleet(["agent", "--tcp-addr", "0.0.0.0:2376", ...some]);
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /never served without TLS/);
    assert.deepEqual(refused.env.agents, []);
  }
  assert.match((await runFleet(["agent", "--tlskey", "/key"])).err, /go with --tcp-addr/);
  const { err } = await runFleet(["info"], { host: "tcp://10.0.0.7:2376" });
  assert.match(err, /tcp:\/\/10\.0\.0\.7:2376 needs TLS: set FLEET_CERT_PATH to a folder/);
});

Deno.test("lab verbs get plain options", async () => {
  const calls: unknown[] = [];
  for (
    const argv of [
      ["up", "--hosts", "2"],
      ["up", "--managers", "3", "--ui=false"],
      ["status", "--name", "big"],
      ["env", "h1"],
      ["exec", "--name", "big", "h2", "--", "ip", "-o", "addr"],
      ["exec", "h2", "ls", "-l"],
      ["exec", "h2"],
      ["down"],
    ]
  ) calls.push(...(await runFleet(["lab", ...argv])).env.labCalls);
  assert.deepEqual(calls, [
    ["up", { name: "lab", hosts: 2, ui: true }],
    ["up", { name: "lab", hosts: 3, managers: 3 }],
    ["status", { name: "big" }],
    ["env", { name: "lab", host: "h1" }],
    ["exec", { name: "big", host: "h2", command: ["ip", "-o", "addr"] }],
    ["exec", { name: "lab", host: "h2", command: ["ls", "-l"] }],
    ["exec", { name: "lab", host: "h2", command: ["/bin/sh"] }],
    ["down", { name: "lab" }],
  ]);
});

Deno.test("what cannot be taken back asks where somebody sits, and takes --yes", async () => {
  const verbs = [
    ["service", "rm", "web2"],
    ["stack", "rm", "shop"],
    ["secret", "rm", "tls2"],
    ["config", "rm", "site"],
    ["node", "rm", "h10"],
    ["leave", "--force"],
    ["init", "--force-new-cluster"],
  ];
  for (const verb of verbs) {
    await using agent = new FakeAgent(answerFixture);
    const options = { host: agent.host, isTTY: true };
    const no = await runFleet(verb, { ...options, stdin: "n\n" });
    assert.deepEqual([no.code, agent.writes], [1, []], verb.join(" "));
    assert.match(no.err, /nothing was changed/);
    const yes = await runFleet([...verb, "--yes"], { ...options, stdin: "" });
    assert.doesNotMatch(yes.err, /nothing was changed/, verb.join(" "));
    if (verb[0] !== "stack") assert(agent.writes.length > 0, verb.join(" "));
  }
});

Deno.test("what starts a cluster over is refused where nobody can be asked, in one line", async () => {
  await using agent = new FakeAgent(answerFixture);
  const verbs = [["init", "--force-new-cluster"], ["recover"]];
  for (const verb of verbs) {
    const { code, err } = await runFleet(verb, { host: agent.host });
    assert.equal(code, 2, verb.join(" "));
    assert.match(err, /^error: Go on [^\n]* Nobody can be asked here: give --yes to go on\n$/);
  }
  assert.deepEqual(agent.writes, []);
});

Deno.test("backup replaces no file unasked", async () => {
  await using agent = new FakeAgent(answerFixture);
  const files = { "old.backup": "x", "pass": "a long passphrase" };
  const words = ["backup", "--passphrase-file", "pass", "old.backup"];
  const { code, err } = await runFleet(words, { host: agent.host, files });
  assert.equal(code, 1);
  assert.equal(err, "error: old.backup exists: choose another name, or add --force\n");
  assert.deepEqual(agent.requests, []);
});

Deno.test("restore --dry-run on a member says that the real one is refused", async () => {
  const facts = { Created: "2026-11-20T10:00:00Z", Managers: 1 };
  await using agent = new FakeAgent((request) =>
    request.path.startsWith("/fleet/backup") ? facts : answerFixture(request)
  );
  const { out } = await runFleet(
    ["restore", "--dry-run", "--passphrase-file", "pass", "a.backup"],
    { host: agent.host, files: { "a.backup": "x", "pass": "a long passphrase" } },
  );
  assert.match(
    out,
    /Nothing was changed\.\nThis node is in a cluster, so that a restore is refused/,
  );
});
