/** `fleet lab` as a person types it, on a cluster that it forms itself; and what `fleet doctor` says to it. */
import assert from "node:assert/strict";
import { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY } from "../support/fleet_lab.ts";
import { writeFleetOfLab } from "../support/typed.ts";
import { until } from "../support/until.ts";

const NAME = "labverbs";

const fleet = (args: readonly string[], env: Record<string, string> = {}) =>
  capture([BINARY, ...args], { env, timeoutMs: 300_000 });

Deno.test("the lab's verbs, and the doctor", async (t) => {
  await Lab.remove(NAME);
  const verb = async (...args: string[]) => {
    const { code, stdout, stderr } = await fleet(["lab", ...args, "--name", NAME]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const bin = await Deno.makeTempDir({ prefix: "fleet-lab-verbs-" });
  await writeFleetOfLab(bin, NAME);
  /** As the guide has it. */
  const typed = async (script: string, env: Record<string, string> = {}) => {
    const path = `${bin}:${Deno.env.get("PATH")}`;
    const { code, stdout, stderr } = await capture(["sh", "-ec", script], {
      env: { ...env, PATH: path },
      timeoutMs: 300_000,
    });
    assert.equal(code, 0, `${script}: ${stdout}${stderr}`);
    return stdout;
  };
  try {
    await t.step("up --managers forms a cluster", async () => {
      const said = await typed(`
fleet lab up --hosts 3 --managers 3
fleet lab net --loss 1`);
      assert.match(said, /They are a cluster with 3 managers/);
    });
    const lab = Lab.open(NAME);
    const env = lab.host("h1").env();
    const doctor = async () => {
      const { code, stdout } = await fleet(["doctor", "--format", "json"], env);
      const list = JSON.parse(stdout) as { level: string; subject: string; text: string }[];
      return { code, bad: list.filter(({ level }) => level === "error"), list };
    };
    const info = async () => (await fleet(["info"], env)).stdout;

    await t.step("env points the clients at a host", async () => {
      const said = await typed(`
eval "$(fleet lab env h1)"
fleet node ls`);
      assert.match(said, / h1 .*\n.* h2 .*\n.* h3 /);
    });

    await t.step("doctor finds nothing wrong, and says what it looked at", async () => {
      assert.match(await verb("net"), /as they were/);
      const fine = [
        /cluster: 3 managers, 3 reachable: survives the loss of 1/,
        /every node reaches every manager \(6 tried\)/,
        /datagrams pass between all nodes, whole and at full size \(6 tried\)/,
        /h2: its clock agrees/,
        /h3: certificate good for/,
        /h3: its networks are as they should be, ports by (ipvs|nftables)/,
      ];
      // One datagram in a hundred is lost, and a node that is busy answers late.
      let said = "";
      await until(
        "all of it in one look",
        async () => {
          const { code, list } = await doctor();
          said = list.map(({ level, subject, text }) => `${level} ${subject}: ${text}`).join("\n");
          return code === 0 && fine.every((sentence) => sentence.test(said));
        },
        120_000,
        500,
      ).catch((error) => assert.fail(`${error}:\n${said}`));
      await until(
        "the same in words",
        async () => /checks are fine, .* 0 errors\.\n$/.test((await fleet(["doctor"], env)).stdout),
      );
    });

    await t.step("a task without a place, and two hosts that do not hear each other", async () => {
      const create = ["service", "create", "-q", "-d", "--no-resolve-image", "--name", "lost"];
      await fleet(
        [...create, "--constraint", "node.labels.disk==ssd", "busybox", "sleep", "99"],
        env,
      );
      assert.match(await verb("cut", "h2", "h3"), /do not hear each other/);
      await until(
        "the doctor's word",
        async () => {
          const { list } = await doctor();
          const said = list.map(({ subject, text }) => `${subject}: ${text}`).join("\n");
          return /lost: 1 of its tasks find no node: .*disk=ssd/.test(said) &&
            /h[23]: (does not reach manager h[23]|down)/.test(said) &&
            (/h3 -> h2: no datagram/.test(said) || /h[23]: down/.test(said));
        },
        60_000,
        500,
      );
      await verb("heal", "h2", "h3");
      await fleet(["service", "rm", "lost"], env);
    });

    await t.step("open links to a dashboard that this machine's browser reaches", async () => {
      for (const host of ["h1", "h3"]) {
        const link = (host === "h1" ? await typed("fleet lab open") : await verb("open", host))
          .trim();
        assert(link.startsWith(`https://${lab.host(host).address}:8443/#link=`), link);
        const page = await capture([
          "curl",
          "-sS",
          "--cacert",
          `${lab.layout.folder}/ui.pem`,
          link,
        ]);
        assert.match(page.stdout, /<title>/, page.stderr);
      }
    });

    await t.step("status tells what was done to hosts; what cannot be is refused", async () => {
      await verb("cut", "h1", "h2");
      await verb("cut", "h3");
      await verb("pause", "--only", "agent", "h2");
      const said = await typed("fleet lab status");
      assert.match(said, /^h2 .* up \(\d+\) +paused \(\d+\)/m);
      assert.match(
        said,
        /^h1 and h2 do not hear each other: fleet lab heal --name labverbs h1 h2$/m,
      );
      assert.match(said, /^h3 is off the network: fleet lab heal --name labverbs h3$/m);
      await verb("resume", "h2");
      assert.match(await verb("heal", "h1", "h2"), /h1 and h2 hear each other\./);
      await verb("heal", "h3");
      assert.equal((await verb("status")).trim().split("\n").length, 4);
      const itself = await fleet(["lab", "cut", "--name", NAME, "h1", "h1"]);
      assert.match(itself.stderr, /h1 always hears itself/);
      await until("three", async () => (await info()).includes("3 reachable"));
    });

    await t.step("kill, start, pause and resume", async () => {
      await typed("fleet lab kill h3");
      let said = "";
      await until("two managers", async () => {
        said = await info();
        return said.includes("3 managers, 2 reachable");
      }).catch((error) => assert.fail(`${error}: ${said}`));
      assert.match((await doctor()).bad.map(({ subject }) => subject).join(), /h3/);
      for (const act of [["pause", "h3"], ["exec", "h3", "--", "true"]]) {
        const { code, stderr } = await fleet(["lab", act[0]!, "--name", NAME, ...act.slice(1)]);
        assert.equal(code, 1);
        assert.match(stderr, /fleet lab start --name labverbs h3/);
      }
      await typed("fleet lab start h3");
      await until("three", async () => (await info()).includes("3 reachable"));
      await verb("pause", "--only", "agent", "h2");
      await until("two", async () => (await info()).includes("3 managers, 2 reachable"));
      await verb("resume", "h2");
      await until("three", async () => (await info()).includes("3 reachable"));
    });
  } finally {
    await typed("fleet lab down");
    await Deno.remove(bin, { recursive: true });
  }
});

Deno.test("a demo that is interrupted leaves no lab", async () => {
  const name = "labdemo";
  await Lab.remove(name);
  const child = new Deno.Command(BINARY, {
    args: ["lab", "demo", "--name", name],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  try {
    let said = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      // The cluster is there, and the demo in its midst.
      if (said.includes("$ fleet node ls") && Lab.exists(name)) child.kill("SIGINT");
    }
    const { code } = await child.status;
    const stderr = await new Response(child.stderr).text();
    assert.match(stderr, /interrupted: the lab was removed again/);
    assert.notEqual(code, 0);
    assert(!Lab.exists(name));
  } finally {
    await Lab.remove(name);
  }
});
