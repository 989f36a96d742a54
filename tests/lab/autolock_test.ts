/** A locked manager: nothing on its disk helps who has no key, and it says what to do. */
import assert from "node:assert/strict";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const SECRET = "the-known-secret-value-5711";

Deno.test("autolock", async (t) => {
  await withFleetLab("autolock", 2, async (lab) => {
    const [h1, h2] = lab.lab.hosts;
    const keyOf = (text: string) => /SWMKEY-1-[A-Za-z0-9+/]{43}/.exec(text)![0];
    const unlock = async (host: string, key: string) =>
      await capture([BINARY, "unlock"], {
        env: lab.host(host).env(),
        stdin: `${key}\n`,
        timeoutMs: 180_000,
      });
    const restart = async (host: string) => {
      await lab.host(host).stop("agent");
      await lab.host(host).startAgent();
    };
    const sealed = async (host: string) => {
      const { code } = await lab.host(host).exec([
        "test",
        "-e",
        `${lab.host(host).layout.dataDir}/keys.sealed`,
      ]);
      return code === 0;
    };
    let key = "";
    const keys: string[] = [];

    await t.step("init --autolock prints the key, and the keys on disk are sealed", async () => {
      const said = await lab.fleet("h1", "init", "--autolock", "--advertise-addr", h1!.address);
      key = keyOf(said);
      keys.push(key);
      assert.equal(keyOf(await lab.fleet("h1", "unlock-key")), key);
      assert(await sealed("h1"));
      const { code } = await capture([BINARY, "secret", "create", "s1", "-"], {
        env: h1!.env(),
        stdin: SECRET,
      });
      assert.equal(code, 0);
      const create = ["token", "create", "--role", "manager", "--node-label", "zone=b", "-q"];
      const token = (await lab.fleet("h1", ...create)).trim();
      await lab.fleet("h2", "join", "--token", token, `${h1!.address}:2377`);
      const labels = ["node", "inspect", "h2", "--format", "{{.Spec.Labels.zone}}"];
      // It tells its name in its first session.
      await until(
        "its label is the token's",
        async () => (await lab.fleet("h1", ...labels)).trim() === "b",
      );
      // The token was good for one node.
      assert.match(await lab.fleet("h1", "token", "ls", "--format", "{{.Uses}}"), /^0$/m);
      await until("the second manager seals its keys too", () => sealed("h2"));
    });

    await t.step(
      "no file of any data directory holds the secret, the unlock key or a private key",
      async () => {
        for (const host of [h1!, h2!]) {
          for (const word of [SECRET, btoa(SECRET).slice(0, 30), key.slice(9, 40), "PRIVATE KEY"]) {
            const { code, stdout } = await host.exec([
              "grep",
              "-rlaF",
              "--",
              word,
              host.layout.dataDir,
            ]);
            assert.equal(code, 1, `${word} is in ${stdout}`);
          }
        }
      },
    );

    await t.step(
      "after a restart it is locked, says so on every command, and serves nothing",
      async () => {
        await restart("h1");
        const info = await lab.fleet("h1", "info");
        assert.match(info, /Swarm:\s+locked/);
        for (
          const args of [["node", "ls"], ["service", "ls"], ["secret", "ls"], [
            "join-token",
            "worker",
          ]]
        ) {
          const { code, stderr } = await lab.try("h1", ...args);
          assert.equal(code, 1);
          assert.match(stderr, /Swarm is encrypted and needs to be unlocked/, args.join(" "));
        }
        assert.match((await lab.try("h1", "leave")).stderr, /Swarm is encrypted and locked/);
        assert.match((await lab.tryDocker("h1", ["node", "ls"])).stderr, /needs to be unlocked/);
        const { stderr } = await lab.try("h1", "init", "--advertise-addr", h1!.address);
        assert.match(stderr, /needs to be unlocked/);
      },
    );

    await t.step("a wrong key opens nothing, the right one everything", async () => {
      const wrong = `SWMKEY-1-${btoa("x".repeat(32)).replace(/=+$/, "")}`;
      assert.match((await unlock("h1", wrong)).stderr, /invalid key provided/);
      assert.match((await unlock("h1", "nonsense")).stderr, /invalid unlock key/);
      const opened = await unlock("h1", key);
      assert.equal(opened.code, 0, opened.stderr);
      await until(
        "both managers",
        async () => (await lab.try("h1", "info")).stdout.includes("2 managers, 2 reachable"),
      );
      assert.match(await lab.fleet("h1", "secret", "ls"), /s1/);
      assert.match((await unlock("h1", key)).stderr, /swarm is not locked/);
    });

    await t.step(
      "the stock client unlocks as well; a rotated key replaces the old one",
      async () => {
        const rotated = keyOf(await lab.fleet("h1", "unlock-key", "--rotate"));
        assert.notEqual(rotated, key);
        // The data key changes with it, on every manager and while the databases are in use.
        for (const host of ["h1", "h2"]) {
          await until(
            `the data key of ${host} is another one`,
            async () => (await lab.host(host).log("agent")).split("data key replaced").length > 2,
          );
        }
        await restart("h2");
        await until("locked", async () => (await lab.fleet("h2", "info")).includes("locked"));
        const info = await lab.tryDocker("h2", ["swarm", "unlock"], `${rotated}\n`);
        assert.equal(info.code, 0, info.stderr);
        key = rotated;
        keys.push(key);
      },
    );

    await t.step("autolock off: keys are files again, and a restart needs nobody", async () => {
      await until(
        "a leader",
        async () => (await lab.try("h1", "info")).stdout.includes("2 managers, 2 reachable"),
      );
      await lab.fleet("h1", "update", "--autolock=false");
      await until("unsealed on both", async () => !await sealed("h1") && !await sealed("h2"));
      await restart("h1");
      await until("back", async () => (await lab.try("h1", "node", "ls")).code === 0);
    });

    await t.step(
      "no log of all this holds the secret, an unlock key or a private key",
      async () => {
        const words = [SECRET, btoa(SECRET).slice(0, 30), "PRIVATE KEY"];
        for (const host of [h1!, h2!]) {
          const log = await host.log("agent");
          assert.match(log, /this manager is locked/);
          for (const word of [...words, ...keys.map((text) => text.slice(9, 40))]) {
            assert(!log.includes(word), `${word} is in ${host.name}'s log`);
          }
        }
      },
    );
  });
});
