/** `fleet upgrade --all`: to a build that does not come up, and back; then to one that does. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { compileAs } from "../../scripts/compile.ts";
import { layOutRelease } from "../../scripts/release.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const GOOD = "0.2.0";
const BROKEN = "0.1.9";

Deno.test("upgrade", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "fleet-upgrade-" });
  const releases = `${folder}/releases`;
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  await Deno.writeTextFile(`${folder}/release.pem`, publicKey);
  const release = async (version: string, executable: string) =>
    await layOutRelease({
      output: releases,
      version,
      executables: { [Deno.build.arch]: executable },
      key: privateKey,
    });
  try {
    await compileAs(GOOD, `${folder}/good`);
    await Deno.writeTextFile(
      `${folder}/broken`,
      `#!/bin/sh\n[ "$1" = --version ] && echo "fleet version ${BROKEN}, broken" && exit\necho "a start of the broken build" >&2\nexit 1\n`,
      { mode: 0o755 },
    );
    await release(BROKEN, `${folder}/broken`);
    await release("0.9.0", `${folder}/broken`);
    await release(GOOD, `${folder}/good`);
    await withFleetLab("upgrade", 3, async (lab) => {
      // As installed: every host has an executable of its own.
      const own = (host: string) => `${folder}/${host}/fleet`;
      for (const { name } of lab.lab.hosts) {
        await Deno.mkdir(`${folder}/${name}`);
        await Deno.copyFile(BINARY, own(name));
        await lab.host(name).stop("agent");
        await lab.host(name).startAgent([own(name)], undefined, {
          FLEET_RELEASE_KEY_FILE: `${folder}/release.pem`,
        });
      }
      await lab.form({ managers: 2 });
      const create = ["service", "create", "-q", "-d", "--no-resolve-image", "--replicas", "3"];
      await lab.fleet("h1", ...create, "--name", "web", "busybox", "sleep", "9999");
      await lab.converged("web", 3);
      const containers = async () => (await lab.containers("web")).map(({ id }) => id).sort();
      const before = await containers();
      /** As the guide has it, where these releases lie. */
      const words = (line: string) => [...line.split(" ").slice(1), "--from", releases];
      const all = words("fleet upgrade --all");
      const versions = async () => {
        const { stdout } = await lab.try(
          "h1",
          ...words("fleet upgrade --all --dry-run"),
          "--version",
          GOOD,
        );
        return stdout;
      };

      await t.step("the plan: workers first, the leader last; nothing is changed", async () => {
        const said = await versions();
        assert.match(said, /^h3 +worker +0\.1\.0 -> 0\.2\.0\nh2 +manager .*\nh1 +leader .*\n/);
        assert.match(said, /Nothing was changed\.\n$/);
      });

      await t.step("what cannot be trusted is refused and changes nothing", async () => {
        const far = await lab.try("h1", ...all, "--yes", "--version", "0.9.0");
        assert.match(far.stderr, /more than one minor version apart/);
        assert.match(
          (await lab.try("h1", ...all, "--yes", "--version", "7.7.7", "--force")).stderr,
          /has no version 7\.7\.7/,
        );
        const sums = `${releases}/v${GOOD}/SHA256SUMS`;
        const text = await Deno.readTextFile(sums);
        await Deno.writeTextFile(sums, text.replace(/^./, (c) => c === "0" ? "1" : "0"));
        const unsigned = await lab.try("h1", ...all, "--yes", "--version", GOOD);
        assert.match(unsigned.stderr, /not the release key's signature/);
        await Deno.writeTextFile(sums, text);
        assert.match(await versions(), /h3 +worker +0\.1\.0 ->/);
      });

      await t.step(
        "a build that does not come up is put away, and the rest is spared",
        async () => {
          const { code, stderr } = await lab.try("h1", ...all, "--yes", "--version", BROKEN);
          assert.equal(code, 3, stderr);
          assert.match(stderr, /h3: fleet 0\.1\.9 did not come up, and 0\.1\.0 is back/);
          assert.match(stderr, /Not touched: h2, h1/);
          const log = await Deno.readTextFile(`${lab.host("h3").layout.dataDir}/agent.log`);
          assert.equal(log.match(/a start of the broken build/g)?.length, 3);
          assert.deepEqual(await containers(), before);
        },
      );

      await t.step("who drives it and the manager it is driven through die half-way", async () => {
        const child = new Deno.Command(BINARY, {
          args: [...all, "--yes"],
          env: lab.host("h1").env(),
          stdin: "null",
          stdout: "piped",
          stderr: "null",
        }).spawn();
        let said = "";
        for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
          said += text;
          if (!said.includes("h3: 0.1.0 -> 0.2.0\n")) continue;
          child.kill("SIGKILL");
          lab.host("h1").signal("agent", "SIGKILL");
          break;
        }
        await child.status;
        assert.match(said, /\nh3: 0\.1\.0 -> 0\.2\.0\n$/);
        assert.deepEqual(await containers(), before);
        // As a service manager does it.
        await until("h1's agent is gone", () => lab.host("h1").pid("agent") === undefined);
        await lab.host("h1").startAgent([own("h1")], undefined, {
          FLEET_RELEASE_KEY_FILE: `${folder}/release.pem`,
        });
        // Whoever it is has heard from no node yet: the next step begins with all of them unknown.
        await until("a manager leads", async () => (await lab.try("h2", "node", "ls")).code === 0);
      });

      await t.step("another one goes on where it was, and no container notices", async () => {
        const said = await lab.fleet("h2", ...all, "--yes");
        assert.match(said, /^h3 +worker +0\.2\.0, up to date\n/);
        assert.match(said, /\nh1: 0\.1\.0 -> 0\.2\.0\n[^]*done\.\n$/);
        await until("all ready", async () => {
          const { stdout } = await lab.try("h1", "node", "ls", "--format", "{{.Status}}");
          return stdout.trim() === "Ready\nReady\nReady";
        });
        assert.deepEqual(await containers(), before);
        assert.match(
          await lab.fleet("h1", ...all),
          /\nEvery node is up to date\.\n$/,
        );
        const trials = await Array.fromAsync(Deno.readDir(`${folder}/h1`));
        assert.deepEqual(trials.map(({ name }) => name).sort(), ["fleet", "fleet.previous"]);
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
