import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { runCli } from "./main.ts";
import { FakeAgent } from "./testing/fake_agent.ts";
import { FakeEnvironment } from "./testing/fake_environment.ts";
import { assertGolden } from "./testing/golden.ts";
import { answerMore } from "./testing/more_fixture.ts";
import type { Entry } from "./verb.ts";

const COMPOSE = `services:
  web: { image: "nginx:1.27", deploy: { replicas: 2 } }
`;
const FILES = {
  "/work/compose.yaml": COMPOSE,
  "/work/site.conf": "listen 81;\n",
  "/work/pass": "a long passphrase\n",
  "/work/old.backup": "sealed",
};
const PASS = ["--passphrase-file", "/work/pass"];

/** Command lines of one user, one after the other, whose whole output is in the golden file. */
const CASES: readonly (readonly string[])[] = [
  ["doctor", "--quiet"],
  ["events", "--since", "1h", "--until", "0s"],
  ["events", "--until", "0s", "--format", "{{.Type}} {{.Action}}"],
  ["audit"],
  ["audit", "-q", "--filter", "object=web2"],
  ["ui"],
  ["ui", "--read-only", "--quiet"],
  ["backup", ...PASS, "/work/new.backup"],
  ["backup", "--inspect", ...PASS, "/work/old.backup"],
  ["backup", "/work/new.backup"],
  ["restore", "--dry-run", ...PASS, "/work/old.backup"],
  ["restore", "--yes", ...PASS, "/work/old.backup"],
  ["restore", ...PASS, "/work/old.backup"],
  ["recover", "--dry-run"],
  ["upgrade", "--dry-run"],
  ["upgrade", "--all", "--dry-run"],
  ["restart", "nope"],
  ["restart", "-q", "agent"],
  ["restart", "batch"],
  ["stack", "ls"],
  ["stack", "ps", "shop"],
  ["stack", "services", "shop"],
  ["stack", "services", "none"],
  ["stack", "config", "-c", "/work/compose.yaml"],
  ["stack", "diff", "--resolve-image", "never", "-c", "/work/compose.yaml", "new"],
  ["stack", "deploy", "-d", "--resolve-image", "never", "-c", "/work/compose.yaml", "none"],
  ["stack", "export", "shop"],
  ["stack", "rm", "-d", "shop"],
  ["context", "create", "office", "--host", "ssh://root@192.168.10.5"],
  ["context", "create", "office", "--host", "ssh://root@192.168.10.5"],
  ["context", "ls"],
  ["context", "show"],
  ["context", "use", "office"],
  ["context", "use", "attic"],
  ["context", "use", "default"],
  ["context", "rm", "office"],
  ["policy", "show"],
  ["policy", "set", "--rebalance", "on-join", "--moves-per-minute", "5"],
  ["policy", "set"],
  ["token", "create", "--ttl", "1h"],
  ["token", "create", "-q", "--role", "manager"],
  ["token", "ls"],
  ["token", "revoke", "tok1", "nope"],
  ["service", "create", "-d", "--no-resolve-image", "--name", "new", "nginx:1.27"],
  ["service", "create", "-d", "--mount", "nonsense", "nginx:1.27"],
  ["service", "update", "-d", "--env-add", "COLOR=blue", "web2"],
  ["service", "update", "-d", "nope"],
  ["service", "logs", "web2"],
  ["service", "logs", "--raw", "-t", "web2"],
  ["service", "logs", "nope"],
  ["service", "exec", "nope", "--", "true"],
  ["service", "rebalance", "--dry-run"],
  ["node", "drain", "h10"],
  ["node", "drain", "nope"],
  ["node", "rebalance", "--dry-run", "h1"],
  ["config", "ls"],
  ["config", "inspect", "site"],
  ["config", "create", "other", "/work/site.conf"],
  ["config", "update", "-d", "site", "/work/site.conf"],
  ["config", "update", "--label-add", "x=y", "site"],
  ["config", "rm", "site", "nope"],
  ["secret", "create", "other", "/work/site.conf"],
  ["secret", "update", "-d", "tls2", "/work/site.conf"],
  ["network", "rotate-keys"],
  ["unlock"],
  ["promote", "h1"],
  ["machine", "add", "root@192.168.10.7"],
  ["machine", "rm", "nope"],
  ["machine", "ssh", "nope"],
  ["import", "swarm"],
  ["agent", "--metrics-addr", "127.0.0.1:9323"],
  ["completion", "powershell"],
  ["completion", "fish"],
  ["man", "nope"],
  ...[
    ["up", "--hosts", "2"],
    ["status"],
    ["env", "h1"],
    ["exec", "h2", "--", "true"],
    ["cut", "h2", "h3"],
    ["heal", "h2", "h3"],
    ["net", "--loss", "1"],
    ["kill", "h3"],
    ["start", "h3"],
    ["pause", "h3"],
    ["resume", "h3"],
    ["demo"],
    ["open"],
    ["down"],
  ].map((words) => ["lab", ...words]),
];

Deno.test("verbs of fleet's own print what they printed before", async () => {
  await using agent = new FakeAgent(answerMore);
  const env = new FakeEnvironment({
    files: FILES,
    variables: { HOME: "/home/ann", FLEET_HOST: agent.host },
  });
  let text = "";
  for (const args of CASES) {
    const [out, err, calls] = [env.out.text.length, env.err.text.length, env.labCalls.length];
    const code = await runCli(args, env);
    const said = env.err.text.slice(err);
    text += `$ fleet ${args.join(" ")}\n${env.out.text.slice(out)}`;
    if (said !== "") text += `[stderr] ${said}`;
    for (const call of env.labCalls.slice(calls)) text += `[lab] ${JSON.stringify(call)}\n`;
    text += code === 0 ? "\n" : `[exit ${code}]\n\n`;
  }
  assertGolden("more_output.txt", text.replaceAll(agent.host, "unix:///run/fleet/fleet.sock"));
});

/** Every way to type a verb, `swarm join` and `join` once. */
function leafVerbs(): { words: string; entry: Entry }[] {
  const found: { words: string; entry: Entry }[] = [];
  const visit = (entries: Readonly<Record<string, Entry>>, before: string) => {
    for (const [name, entry] of Object.entries(entries)) {
      if (entry.verbs) visit(entry.verbs, `${before}${name} `);
      else found.push({ words: `${before}${name}`, entry });
    }
  };
  visit(COMMANDS, "");
  return found;
}

Deno.test("every verb is in a golden file", async () => {
  const folder = new URL("./testdata/", import.meta.url);
  let typed = "";
  for (const name of ["output.txt", "more_output.txt"]) {
    typed += await Deno.readTextFile(new URL(name, folder));
  }
  const verbs = leafVerbs();
  assert(verbs.length > 100);
  const covered = new Set(
    verbs.filter(({ words }) => new RegExp(`^\\$ fleet ${words}( |$)`, "m").test(typed))
      .map(({ entry }) => entry),
  );
  assert.deepEqual(
    verbs.filter(({ entry }) => !covered.has(entry)).map(({ words }) => words),
    [],
  );
});
