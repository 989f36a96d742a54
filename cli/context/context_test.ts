import assert from "node:assert/strict";
import { FakeAgent } from "../testing/fake_agent.ts";
import { FakeEnvironment } from "../testing/fake_environment.ts";
import { runCli } from "../main.ts";

const ANSWERS: Readonly<Record<string, unknown>> = {
  "/services": [],
  "/nodes": [],
};

async function withCli(
  run: (cli: (...argv: string[]) => Promise<{ code: number; out: string; err: string }>) => Promise<
    void
  >,
  variables: Record<string, string> = {},
): Promise<FakeEnvironment> {
  const env = new FakeEnvironment({ variables: { HOME: "/home/ann", ...variables } });
  await run(async (...argv) => {
    const [out, err] = [env.out.text.length, env.err.text.length];
    const code = await runCli(argv, env);
    return { code, out: env.out.text.slice(out), err: env.err.text.slice(err) };
  });
  return env;
}

Deno.test("contexts are made, used, listed and forgotten", async () => {
  const env = await withCli(async (cli) => {
    assert.equal((await cli("context", "create", "lab", "--host", "unix:///lab.sock")).code, 0);
    const again = await cli("context", "create", "lab", "--host", "unix:///x");
    assert.match(again.err, /exists already/);
    assert.match((await cli("context", "create", "a b", "--host", "unix:///x")).err, /no name/);
    assert.match((await cli("context", "create", "c", "--host", "nowhere")).err, /ssh:\/\/user/);
    assert.match((await cli("context", "use", "leb")).err, /there are default, lab/);
    assert.equal((await cli("context", "use", "lab")).out, "lab\n");
    assert.equal((await cli("context", "show")).out, "lab\n");
    assert.match((await cli("context", "ls")).out, /^lab \* +unix:\/\/\/lab\.sock$/m);
    assert.match((await cli("context", "rm", "lab")).err, /in use/);
    await cli("context", "use", "default");
    assert.equal((await cli("context", "rm", "lab")).out, "lab\n");
  });
  assert.deepEqual(Object.keys(env.written), ["/home/ann/.config/fleet/contexts.json"]);
});

Deno.test("a command talks to the context in use; a flag goes before it", async () => {
  await using one = new FakeAgent(({ path }) => ANSWERS[path]);
  await using two = new FakeAgent(({ path }) => ANSWERS[path]);
  await withCli(async (cli) => {
    await cli("context", "create", "one", "--host", one.host);
    await cli("context", "create", "two", "--host", two.host);
    await cli("context", "use", "one");
    await cli("service", "ls");
    assert.deepEqual([one.requests.length > 0, two.requests.length > 0], [true, false]);
    await cli("--context", "two", "service", "ls");
    assert(two.requests.length > 0);
    const before = two.requests.length;
    await cli("-H", two.host, "service", "ls");
    assert(two.requests.length > before);
  });
});

Deno.test("ssh:// goes through a tunnel", async () => {
  await using agent = new FakeAgent(({ path }) => ANSWERS[path]);
  const env = await withCli(async (cli) => {
    assert.equal((await cli("-H", "ssh://ann@far:2222", "service", "ls")).code, 0);
    assert.match((await cli("-H", "ssh://-oProxyCommand=x", "service", "ls")).err, /invalid host/);
  }, { TUNNEL: agent.host });
  assert.deepEqual(env.tunnels, ["ann@far:2222"]);
  assert(agent.requests.length > 0);
});
