/** fleet on a real pseudo-terminal: progress, Ctrl-C, the terminal's width, prompts, NO_COLOR. */
import assert from "node:assert/strict";
import { until } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";

/** A program on a terminal of its own (util-linux's `script`), with what it has written so far. */
class Terminal {
  text = "";
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #done: Promise<number>;

  constructor(command: string, env: Record<string, string>) {
    const child = new Deno.Command("script", {
      args: ["--quiet", "--flush", "--return", "--command", command, "/dev/null"],
      env: { ...env, TERM: "xterm" },
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
    await until(`the terminal shows ${pattern}`, () => pattern.test(this.text), 60_000)
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

Deno.test("on a terminal", async (t) => {
  await withFleetLab("terminal", 1, async (lab) => {
    await lab.form();
    const env = lab.host("h1").env();
    const on = (command: string, more: Record<string, string> = {}) =>
      new Terminal(command, { ...env, ...more });
    const create = `${BINARY} service create --no-resolve-image --stop-grace-period 1s`;

    await t.step("progress is drawn in place, as wide as the terminal", async () => {
      const wide = on(
        `stty cols 100; ${create} --name wide --replicas 2 busybox:latest sleep 9999`,
      );
      assert.equal(await wide.end(), 0, wide.text);
      // deno-lint-ignore no-control-regex
      assert.match(wide.text, /\x1b\[\d+A/);
      assert.match(wide.text, /\[={49}>\]|\[={50}>\]/);
      const narrow = on(
        `stty cols 44; ${create} --name narrow --replicas 2 busybox:latest sleep 9999`,
      );
      assert.equal(await narrow.end(), 0, narrow.text);
      const lines = narrow.text.replaceAll(CONTROL, "").split(/\r?\n|\r/);
      assert(lines.some((line) => /^1\/2: running +\[=+>\]/.test(line)), narrow.text);
      assert(
        lines.filter((line) => /\[/.test(line)).every((line) => line.length <= 44),
        narrow.text,
      );
    });

    await t.step("a terminal that changes its size is followed", async () => {
      const terminal = on(
        `stty cols 100; (sleep 1; stty -F /dev/tty cols 40) & ${create} --name resized --replicas 2 busybox:latest sleep 9999`,
      );
      assert.equal(await terminal.end(), 0, terminal.text);
      const last = terminal.text.replaceAll(CONTROL, "").split(/\r?\n|\r/)
        .findLast((line) => /^2\/2: running/.test(line))!;
      assert(last.length <= 40, last);
    });

    await t.step("Ctrl-C detaches, and the service goes on", async () => {
      const terminal = on(`${create} --name stays busybox:none sleep 9999`);
      await terminal.says(/overall progress: 0 out of 1/);
      await terminal.type("\x03");
      assert.equal(await terminal.end(), 0, terminal.text);
      assert.match(terminal.text, /fleet service ps|Operation continuing in background/);
      assert.match(await lab.fleet("h1", "service", "ls", "--format", "{{.Name}}"), /^stays$/m);
    });

    await t.step("prompts: a passphrase is not shown, a no changes nothing", async () => {
      const folder = await Deno.makeTempDir({ prefix: "fleet-terminal-" });
      try {
        const backup = on(`${BINARY} backup ${folder}/file`);
        await backup.says(/Passphrase of the backup: /);
        await backup.type("hidden words\n");
        await backup.says(/Once more: /);
        await backup.type("hidden words\n");
        assert.equal(await backup.end(), 0, backup.text);
        assert.match(backup.text, /read back/);
        assert.doesNotMatch(backup.text, /hidden/);
        await lab.fleet("h1", "leave", "--force");
        const restore = on(`${BINARY} restore ${folder}/file`);
        await restore.says(/Passphrase of the backup: /);
        await restore.type("hidden words\n");
        await restore.says(/\[y\/N\] /);
        await restore.type("n\n");
        assert.notEqual(await restore.end(), 0);
        assert.match(await lab.fleet("h1", "info"), /inactive/);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });

    await t.step("NO_COLOR, and help that fits the terminal", async () => {
      const plain = on(`stty cols 100; ${BINARY} service create --help`, { NO_COLOR: "1" });
      assert.equal(await plain.end(), 0);
      assert.doesNotMatch(plain.text, COLOUR);
      const table = plain.text.split(/\r?\n/).filter((line) => /^ {2}-/.test(line));
      assert(table.length > 20 && table.every((line) => line.length <= 100));
      const typo = on(`${BINARY} servce ls`);
      assert.equal(await typo.end(), 2);
      assert.match(typo.text, /Did you mean service\?/);
    });
  });
});
