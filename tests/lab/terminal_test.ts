/** fleet on a real pseudo-terminal: progress, Ctrl-C, the terminal's width, prompts, NO_COLOR. */
import assert from "node:assert/strict";
import { FakeAgent, refusal } from "../../cli/testing/fake_agent.ts";
import { fromRoot } from "../../scripts/run.ts";
import { until } from "../support/until.ts";

/** A program on a terminal of its own (util-linux's `script`), with what it has written so far. */
class Terminal {
  text = "";
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #done: Promise<number>;

  constructor(command: string, env: Record<string, string>) {
    const child = new Deno.Command("script", {
      args: ["--quiet", "--flush", "--return", "--command", command, "/dev/null"],
      // The shell of whoever runs the tests may be any, or none.
      env: { ...env, TERM: "xterm", SHELL: "/bin/sh" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = child.stdin.getWriter();
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) {
        this.text += decoder.decode(chunk, { stream: true });
      }
    })();
    this.#done = reading.then(async () => (await child.status).code);
  }

  async says(pattern: RegExp): Promise<void> {
    await until(`the terminal shows ${pattern}`, () => pattern.test(this.text))
      .catch((error) => Promise.reject(new Error(`${error.message}; it shows ${this.text}`)));
  }

  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Its exit code. */
  async end(): Promise<number> {
    const code = await this.#done;
    await this.#writer.close().catch(() => {});
    return code;
  }
}

// deno-lint-ignore no-control-regex
const CONTROL = /\x1b\[[0-9;?]*[A-Za-z]/g;
// deno-lint-ignore no-control-regex
const COLOUR = /\x1b\[[0-9;]*m/;

const FLEET = `${Deno.execPath()} run -A --quiet --no-check --unstable-http --unstable-net ${
  fromRoot("main.ts")
}`;
const CREATE = `${FLEET} service create --no-resolve-image --replicas 2 nginx`;
const BYTES = new Uint8Array([1, 2, 3]);
const FACTS = { CreatedAt: "2026-01-02T03:04:05Z", Version: "1", ClusterID: "c", NodeID: "n1" };

/** Two tasks, which run once `isUp` says so. */
function agent(isUp: () => boolean): FakeAgent {
  return new FakeAgent(({ path }) => {
    if (path === "/services/create") return { ID: "svc1" };
    if (path === "/nodes") return [{ ID: "n1", Status: { State: "ready" }, Spec: {} }];
    if (path === "/services/svc1") {
      return {
        ID: "svc1",
        Version: { Index: 1 },
        Spec: { Name: "web", Mode: { Replicated: { Replicas: 2 } } },
      };
    }
    if (path === "/tasks") {
      const State = isUp() ? "running" : "preparing";
      return [1, 2].map((Slot) => ({
        ID: `t${Slot}`,
        Slot,
        NodeID: "n1",
        DesiredState: "running",
        Status: { State },
      }));
    }
    if (path === "/fleet/backup") return new Response(BYTES);
    if (path === "/fleet/backup/inspect") return FACTS;
    if (path === "/_ping") return {};
    return refusal(404, `${path}: not here`);
  });
}

const on = (command: string, { host }: FakeAgent, more: Record<string, string> = {}) =>
  new Terminal(command, { FLEET_HOST: host, ...more });
const linesOf = (text: string) => text.replaceAll(CONTROL, "").split(/\r?\n|\r/);

Deno.test("progress is drawn in place, as wide as the terminal", async () => {
  await using fake = agent(() => true);
  const [wide, narrow] = [100, 44].map((columns) => on(`stty cols ${columns}; ${CREATE}`, fake));
  assert.equal(await wide!.end(), 0, wide!.text);
  // deno-lint-ignore no-control-regex
  assert.match(wide!.text, /\x1b\[\d+A/);
  assert.match(wide!.text, /\[={49,50}>\]/);
  assert.equal(await narrow!.end(), 0, narrow!.text);
  const lines = linesOf(narrow!.text).filter((line) => /^\d\/2:/.test(line));
  assert(lines.some((line) => /\[=+>\]/.test(line)), narrow!.text);
  assert(lines.every((line) => line.length <= 44), narrow!.text);
});

Deno.test("a terminal that changes its size is followed", async () => {
  let up = false;
  await using fake = agent(() => up);
  const terminal = on(`stty cols 100; (read x; stty cols 40) </dev/tty & ${CREATE}`, fake);
  await terminal.says(/preparing +\[=+> {12,}\]/);
  await terminal.type("\n");
  await terminal.says(/preparing +\[=+> {1,11}\]/);
  up = true;
  assert.equal(await terminal.end(), 0, terminal.text);
  const last = linesOf(terminal.text).findLast((line) => /^2\/2: running/.test(line))!;
  assert(last.length <= 40, last);
});

Deno.test("Ctrl-C detaches, and nothing is taken back", async () => {
  await using fake = agent(() => false);
  // A shell that waits for its command would die of the same Ctrl-C and hide the command's exit code.
  const terminal = on(`exec ${CREATE}`, fake);
  await terminal.says(/overall progress: 0 out of 2/);
  await terminal.type("\x03");
  assert.equal(await terminal.end(), 0, terminal.text);
  assert.match(terminal.text, /Operation continuing in background/);
  assert.deepEqual(fake.writes.map(({ path }) => path), ["/services/create"]);
});

Deno.test("prompts: a passphrase is not shown, and a no changes nothing", async () => {
  await using fake = agent(() => true);
  const folder = await Deno.makeTempDir({ prefix: "fleet-terminal-" });
  try {
    const backup = on(`${FLEET} backup ${folder}/file`, fake);
    await backup.says(/Passphrase of the backup: /);
    await backup.type("hidden words\n");
    await backup.says(/Once more: /);
    await backup.type("hidden words\n");
    assert.equal(await backup.end(), 0, backup.text);
    assert.match(backup.text, /read back/);
    assert.doesNotMatch(backup.text, /hidden/);
    assert.deepEqual(await Deno.readFile(`${folder}/file`), BYTES);
    const restore = on(`${FLEET} restore ${folder}/file`, fake);
    await restore.says(/Passphrase of the backup: /);
    await restore.type("hidden words\n");
    await restore.says(/\[y\/N\] /);
    await restore.type("n\n");
    assert.notEqual(await restore.end(), 0);
    const remove = on(`${FLEET} service rm web`, fake);
    await remove.says(/Remove web and stop all tasks of it\? \[y\/N\] /);
    await remove.type("\n");
    assert.notEqual(await remove.end(), 0);
    assert(fake.requests.every(({ path, method }) => !/restore/.test(path) && method !== "DELETE"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("NO_COLOR, help that fits the terminal, and a typo", async () => {
  await using fake = agent(() => true);
  const plain = on(`stty cols 100; ${FLEET} service create --help`, fake, { NO_COLOR: "1" });
  assert.equal(await plain.end(), 0);
  assert.doesNotMatch(plain.text, COLOUR);
  const table = plain.text.split(/\r?\n/).filter((line) => /^ {2}-/.test(line));
  assert(table.length > 20 && table.every((line) => line.length <= 100));
  const typo = on(`${FLEET} servce ls`, fake);
  assert.equal(await typo.end(), 2);
  assert.match(typo.text, /Did you mean service\?/);
});
