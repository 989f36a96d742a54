/** The API on TCP: the stock client with a certificate does everything, everybody else nothing. */
import assert from "node:assert/strict";
import { issue, makeCa } from "../../src/adapters/rpc/test_support.ts";
import type { TlsCredentials } from "../../src/adapters/rpc/types.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { launchBrowser, newPage } from "../browser/support/browser.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

Deno.test("the API on TCP", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "api_tls_lab_" });
  const write = async (name: string, { certPem, keyPem, caPem }: TlsCredentials) => {
    await Deno.mkdir(`${folder}/${name}`);
    await Deno.writeTextFile(`${folder}/${name}/ca.pem`, caPem);
    await Deno.writeTextFile(`${folder}/${name}/cert.pem`, certPem);
    await Deno.writeTextFile(`${folder}/${name}/key.pem`, keyPem, { mode: 0o600 });
    return `${folder}/${name}`;
  };
  try {
    await withFleetLab("api-tls", 1, async (lab) => {
      const host = lab.host("h1");
      const ca = await makeCa();
      const foreign = await makeCa();
      const server = await write(
        "server",
        await issue(ca, { cn: "localhost", ou: "servers", ip: host.address }),
      );
      const user = await write("user", await issue(ca, { cn: "ann", ou: "users" }));
      const stranger = await write("stranger", {
        ...await issue(foreign, { cn: "ann", ou: "users" }),
        caPem: ca.pem,
      });
      const address = `tcp://${host.address}:2376`;
      const docker = (certificates: string, args: string[], stdin?: string | Uint8Array) =>
        capture(["docker", "--tlsverify", "-H", address, ...args], {
          env: { DOCKER_CERT_PATH: certificates },
          timeoutMs: 180_000,
          ...(stdin === undefined ? {} : { stdin }),
        });
      const fleet = (env: Record<string, string>, ...args: string[]) =>
        capture([BINARY, "-H", address, ...args], { env, timeoutMs: 180_000 });
      const must = async (output: ReturnType<typeof capture>) => {
        const { code, stdout, stderr } = await output;
        assert.equal(code, 0, stderr);
        return stdout;
      };

      await t.step("it is off by default, and cannot be had without TLS", async () => {
        await lab.fleet("h1", "init", "--advertise-addr", host.address);
        const { stdout } = await host.exec(["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
        const listening = [...stdout.matchAll(/:([0-9A-F]{4}) 0+:0000 0A/g)].map((match) =>
          parseInt(match[1]!, 16)
        );
        assert.deepEqual(listening, [2377]);
        await host.stop("agent");
        const { code, stderr } = await host.exec([BINARY, "agent", "--tcp-addr", "0.0.0.0:2376"]);
        assert.notEqual(code, 0);
        assert.match(stderr, /never served without TLS/);
        await host.startAgent([BINARY], [
          ...["--tcp-addr", `${host.address}:2376`, "--tlscacert", `${server}/ca.pem`],
          ...["--tlscert", `${server}/cert.pem`, "--tlskey", `${server}/key.pem`],
          ...["--ui-addr", "0.0.0.0:2380"],
          ...["--ui-cert", `${server}/cert.pem`, "--ui-key", `${server}/key.pem`],
        ]);
        await until(
          "it leads",
          async () => /Ready/.test((await lab.try("h1", "node", "ls")).stdout),
        );
      });

      await t.step(
        "the stock client with a certificate does all it does on the socket",
        async () => {
          assert.match(await must(docker(user, ["node", "ls"])), /h1\s+Ready/);
          const create = ["service", "create", "--name", "s1", "busybox", "sleep", "1000"];
          await must(docker(user, [...create]));
          assert.match(await must(docker(user, ["service", "ps", "s1"])), /Running/);
          assert.match(
            await must(docker(user, ["run", "--rm", "busybox", "echo", "hello"])),
            /hello/,
          );
          // Half-close: cat ends when its input does. More than the buffers hold goes both ways.
          const bytes = "0123456789abcde\n".repeat(1 << 18);
          const run = ["run", "--rm", "-i", "busybox", "md5sum"];
          const sum = (await capture(["md5sum"], { stdin: bytes })).stdout.split(" ")[0]!;
          assert.equal((await must(docker(user, run, bytes))).split(" ")[0], sum);
          const echoed = await must(docker(user, ["run", "--rm", "-i", "busybox", "cat"], bytes));
          assert.equal((await capture(["md5sum"], { stdin: echoed })).stdout.split(" ")[0], sum);
        },
      );

      await t.step("so does fleet's", async () => {
        assert.match(await must(fleet({ FLEET_CERT_PATH: user }, "node", "ls")), /h1\s+Ready/);
        assert.match((await fleet({}, "node", "ls")).stderr, /set FLEET_CERT_PATH/);
      });

      await t.step("the dashboard over TLS: who has a certificate gets a link", async () => {
        const link = async () => (await must(fleet({ FLEET_CERT_PATH: user }, "ui", "-q"))).trim();
        const url = await link();
        // Served on every address: the link names one that others can reach.
        assert.ok(url.startsWith(`https://${host.address}:2380/#link=`), url);
        const plain = await fetch(`http://${host.address}:2380/session`).catch(() => undefined);
        assert.notEqual(plain?.status, 200);
        const browser = await launchBrowser();
        try {
          const context = await browser.newContext({ ignoreHTTPSErrors: true });
          const { page, complaints } = await newPage(context, host.address);
          page.setDefaultTimeout(60_000);
          await page.goto(url);
          await page.waitForSelector("[data-link=live]");
          const [cookie] = await context.cookies();
          assert.equal(cookie?.name, "__Host-fleet-session");
          assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === "Strict");
          const [task] = await lab.running("s1");
          await page.goto(`https://${host.address}:2380/#/terminal/${task!.ID}`);
          await page.waitForSelector("[data-terminal=connected]");
          await page.keyboard.type("echo $((6*7))-typed\n");
          await page.waitForSelector(".xterm:has-text('42-typed')");
          assert.deepEqual(complaints, []);
        } finally {
          await browser.close();
        }
        const audit = ["audit", "--format", "{{.Actor}} {{.Action}}"];
        assert.match(
          await lab.fleet("h1", ...audit),
          /^dashboard \(operator of certificate ann\) terminal\.open$/m,
        );
      });

      await t.step("everybody else is refused", async () => {
        await Deno.mkdir(`${folder}/nothing`);
        await Deno.writeTextFile(`${folder}/nothing/ca.pem`, ca.pem);
        const without = await docker(`${folder}/nothing`, ["info"]);
        assert.match(without.stdout + without.stderr, /a client certificate is necessary/);
        const foreigner = await docker(stranger, ["info"]);
        assert.match(foreigner.stdout + foreigner.stderr, /certificate is not valid here/);
        const plain = await capture(["docker", "-H", address, "info"]);
        assert.notEqual(plain.stderr, "");
        assert.doesNotMatch(plain.stdout, /h1/);
        // A node's certificate opens port 2377, not this.
        const { dataDir } = host.layout;
        const node = await write("node", {
          caPem: ca.pem,
          certPem: await Deno.readTextFile(`${dataDir}/node.crt`),
          keyPem: await Deno.readTextFile(`${dataDir}/node.key`),
        });
        const asNode = await docker(node, ["info"]);
        // Some clients keep a certificate to themselves that no CA of the server's list has signed.
        assert.match(
          asNode.stdout + asNode.stderr,
          /certificate is not valid here|a client certificate is necessary/,
        );
        await until(
          "it is in the log",
          async () => /an API client was refused/.test(await host.log("agent")),
        );
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
