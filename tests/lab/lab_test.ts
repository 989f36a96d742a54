import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { FleetError } from "../../src/base/errors.ts";
import type { LabHost } from "../../src/adapters/lab_hosts/host.ts";
import { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import { labFolder } from "../../src/adapters/lab_hosts/layout.ts";
import { tracesOf } from "./support/traces.ts";
import { until } from "../support/until.ts";

/** Runs `body` with a lab of engines; afterwards no trace of it may be left. */
async function withLab(
  name: string,
  hosts: number,
  body: (lab: Lab) => Promise<void>,
): Promise<void> {
  await Lab.remove(name);
  const lab = await Lab.up({ name, hosts });
  try {
    await body(lab);
  } finally {
    await lab.down();
  }
  assert.deepEqual(await tracesOf(name), []);
}

async function docker(host: LabHost, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.docker(args);
  assert.equal(code, 0, `docker ${args.join(" ")} on ${host.name}: ${stderr}`);
  return stdout.trim();
}

async function canReach(from: LabHost, to: string): Promise<boolean> {
  return (await from.exec(["busybox", "ping", "-c", "1", "-W", "1", to])).code === 0;
}

Deno.test("hosts have engines, names, addresses and processes of their own", async () => {
  await withLab("labown", 2, async (lab) => {
    const [h1, h2] = [lab.host("h1"), lab.host("h2")];
    for (const host of lab.hosts) {
      assert.equal(await docker(host, "run", "--rm", "busybox", "echo", host.name), host.name);
      assert.equal(await docker(host, "info", "--format", "{{.Name}}"), host.name);
      assert.equal(
        (await host.exec(["cat", "/proc/sys/kernel/hostname"])).stdout,
        `${host.name}\n`,
      );
    }
    const identity = (host: LabHost) => docker(host, "info", "--format", "{{.ID}}");
    assert.notEqual(await identity(h1), await identity(h2));
    const image = (host: LabHost) => docker(host, "images", "--no-trunc", "--quiet", "busybox");
    assert.equal(await image(h1), await image(h2), "one image has one id everywhere");

    await until("h2 answers h1, by name", () => canReach(h1, "h2"));
    await until("h1 answers h2, by address", () => canReach(h2, h1.address));
    const processes = (await h1.exec(["ps", "-e", "-o", "comm"])).stdout;
    assert.equal(processes.match(/^dockerd$/gm)?.length, 1, "only its own engine");

    // Published ports of a host answer on the machine.
    await docker(h1, "run", "-d", "-p", "8080:80", "busybox", "httpd", "-f", "-p", "80");
    await until("the published port", async () => {
      const connection = await Deno.connect({ hostname: h1.address, port: 8080 }).catch(() => null);
      connection?.close();
      return connection !== null;
    });
  });
});

Deno.test("what a program inside a host returns is what the caller gets", async () => {
  await withLab("labexec", 1, async (lab) => {
    const host = lab.host("h1");
    const { code, stdout, stderr } = await host.exec(
      ["sh", "-c", "cat; echo problem >&2; exit 7"],
      { stdin: "a line" },
    );
    assert.deepEqual([code, stdout, stderr], [7, "a line", "problem\n"]);
    const before = host.processes().length;
    const slow = await host.exec(["sleep", "60"], { timeoutMs: 50 });
    assert.equal(slow.code, 137);
    await until("end of the program that took too long", () => host.processes().length === before);
  });
});

Deno.test("cables can be pulled and pairs of hosts separated", async () => {
  await withLab("labcut", 3, async (lab) => {
    const [h1, h2, h3] = [lab.host("h1"), lab.host("h2"), lab.host("h3")];
    await lab.cut("h1", "h2");
    await lab.cut("h2", "h1");
    assert.deepEqual([await canReach(h1, "h2"), await canReach(h2, "h1")], [false, false]);
    await until("h3 is still there", () => canReach(h1, "h3"));
    await lab.heal("h1", "h2");
    // The kernel remembers for a moment that nobody answered for the address.
    await until("h2 is back", () => canReach(h1, "h2"));
    await h3.link("down");
    assert.equal(await canReach(h1, "h3"), false);
    await h3.link("up");
    await until("h3 is back", () => canReach(h1, "h3"));
    await until("h3 is back for h2 too", () => canReach(h2, "h3"));
  });
});

Deno.test("engines end and come back in every way that real ones do", async () => {
  await withLab("labcrash", 1, async (lab) => {
    const host = lab.host("h1");
    const running = () => docker(host, "ps", "--quiet");
    const id = await docker(
      host,
      "run",
      "-d",
      "--restart=always",
      "--stop-signal=KILL",
      "busybox",
      "sleep",
      "1000",
    );

    host.signal("dockerd", "SIGKILL");
    await until("end of the engine", () => host.pid("dockerd") === undefined);
    await host.startEngine();
    await until("the container after kill -9 of dockerd", async () => await running() !== "");

    await host.killEngine();
    assert.equal(host.pid("dockerd"), undefined);
    await host.startEngine();
    await until("the container after the engine's end", async () => await running() !== "");

    await host.crash();
    assert.equal(host.isUp(), false);
    await assert.rejects(host.exec(["true"]), /h1 is not up/);
    await host.boot();
    await host.startEngine();
    await until("the container after a power cut", async () => await running() !== "");
    assert.ok(id.startsWith(await running()), "it is the same container");

    await docker(host, "rm", "-f", id);
    await host.stop("dockerd");
    assert.equal(host.pid("dockerd"), undefined);
  });
});

Deno.test("two labs run at once on different subnets", async () => {
  await withLab("labone", 1, async (one) => {
    await withLab("labtwo", 1, async (two) => {
      assert.notEqual(one.layout.subnet, two.layout.subnet);
      await Promise.all([one, two].map((lab) => docker(lab.host("h1"), "run", "--rm", "busybox")));
    });
    assert.equal(await docker(one.host("h1"), "run", "--rm", "busybox", "echo", "ok"), "ok");
  });
});

Deno.test("a name is used once", async () => {
  await withLab("labname", 1, async (lab) => {
    const conflict = (error: FleetError) => error.kind === "conflict";
    await assert.rejects(Lab.up({ name: "labname", hosts: 1 }), conflict);
    assert.equal(await docker(lab.host("h1"), "run", "--rm", "busybox", "echo", "ok"), "ok");
  });
  const [first, second] = await Promise.allSettled([
    Lab.up({ name: "labname", hosts: 1 }),
    Lab.up({ name: "labname", hosts: 1 }),
  ]);
  assert.deepEqual([first.status, second.status].sort(), ["fulfilled", "rejected"]);
  assert.equal(await Lab.remove("labname"), true);
  assert.equal(await Lab.remove("labname"), false, "there is nothing left to remove");
  assert.throws(() => Lab.open("labname"), /there is no lab "labname"/);
});

Deno.test("a start that is given up or fails leaves nothing", async () => {
  await Lab.remove("labstop");
  const controller = new AbortController();
  const start = Lab.up({
    name: "labstop",
    hosts: 2,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await assert.rejects(start, { name: "AbortError" });
  assert.deepEqual(await tracesOf("labstop"), []);
  await assert.rejects(
    Lab.up({ name: "labstop", hosts: 1, engineSettings: { "no-such-setting": true } }),
    /dockerd ended:[^]*no-such-setting/,
  );
  assert.deepEqual(await tracesOf("labstop"), []);
});

/** Moments of a start at which its maker is killed: as soon as this file is there. */
const MOMENTS = ["lab.json", "h1/boot.sh", "h2/daemon.json", "h1/dockerd.pid", "h2/docker.sock"];

Deno.test("down leaves nothing of a lab whose maker was killed, whenever that was", async () => {
  const name = "labkill";
  const script = fileURLToPath(new URL("./support/make_lab.ts", import.meta.url));
  for (const moment of [...MOMENTS, "up"]) {
    await Lab.remove(name);
    const maker = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", script, name, "2"],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const said = moment === "up" ? untilSaid(maker.stdout, "up\n") : maker.stdout.cancel();
    if (moment === "up") await said;
    else await until(moment, () => exists(`${labFolder(name)}/${moment}`), 60_000, 1);
    maker.kill("SIGKILL");
    await maker.status;
    await said;
    if (moment === "up") {
      const lab = Lab.open(name);
      await docker(lab.host("h1"), "run", "-d", "busybox", "sleep", "1000");
      lab.host("h2").signal("dockerd", "SIGKILL");
    }
    assert.equal(await Lab.remove(name), true, moment);
    assert.deepEqual(await tracesOf(name), [], moment);
  }
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function untilSaid(stream: ReadableStream<Uint8Array>, line: string): Promise<void> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    if (text.includes(line)) return;
  }
}
