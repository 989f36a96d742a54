/** What is in the way of overlay networks on a node: named, waited out, worked around. */
import assert from "node:assert/strict";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

Deno.test("overlay networks where something is in the way", async (t) => {
  await withFleetLab("trouble", 2, async (lab) => {
    await lab.form();
    const on = async (host: string, script: string) =>
      (await lab.host(host).exec(["sh", "-c", script])).stdout.trim();
    const create = async (name: string, ...flags: string[]) =>
      await lab.docker(
        "h1",
        ...["service", "create", "--detach", "--no-resolve-image", "--name", name],
        ...["--stop-grace-period", "1s", ...flags],
        ...["busybox:latest", "sleep", "100000"],
      );
    const network = async (name: string) => {
      await lab.docker("h1", "network", "create", "-d", "overlay", name);
      const option = '{{index .Options "com.docker.network.driver.overlay.vxlanid_list"}}';
      return (await lab.docker("h1", "network", "inspect", "--format", option, name)).trim();
    };
    const errors = async (service: string) =>
      await lab.fleet("h1", "service", "ps", "--no-trunc", "--format", "{{.Error}}", service);
    const told = async (service: string, sentence: RegExp) => {
      let last = "";
      const look = async () => sentence.test(last = await errors(service));
      await until(`${service}: ${sentence}`, look, 60_000, 200)
        .catch((error) => assert.fail(`${error}: ${last}`));
    };
    const h2 = ["--constraint", "node.hostname==h2"];

    await t.step("a program that has the data path's port", async () => {
      await network("blocked");
      const listen = 'Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 4789 });' +
        "await new Promise(() => setInterval(() => {}, 1000));";
      const holder = new Deno.Command("nsenter", {
        args: [
          ...["-t", String(lab.host("h2").pid("dockerd")), "-n", Deno.execPath()],
          ...["eval", "--unstable-net", listen],
        ],
        stdin: "null",
        stdout: "null",
      }).spawn();
      try {
        await until(
          "port 4789 is taken",
          async () => await on("h2", "ss -Hlun sport = :4789") !== "",
        );
        await create("waiting", "--network", "blocked", ...h2);
        await until(
          "the agent says it",
          async () =>
            /UDP port 4789 is taken by another program/.test(await lab.host("h2").log("agent")),
          60_000,
          200,
        );
      } finally {
        holder.kill("SIGKILL");
        await holder.status;
      }
      await lab.converged("waiting", 1);
    });

    await t.step("a device of somebody else with the network's number", async () => {
      const vni = await network("clash");
      await on("h2", `ip link add alien type vxlan id ${vni} dstport 4789 local 127.0.0.1`);
      await create("clashing", "--network", "clash", ...h2);
      await told("clashing", new RegExp(`VNI ${vni} is in use by device alien`));
      await on("h2", "ip link del alien");
      await lab.converged("clashing", 1);
    });

    await t.step(
      "a node that does not answer by UDP: the kernel finishes checksums meanwhile",
      async () => {
        // h1 is heard by nobody's name server, as if its card damaged what it sends.
        await on("h2", "iptables -I INPUT -i fl-+ -p udp --dport 53 -j DROP");
        const spread = ["--mode", "global", "--network", "wide"];
        const vni = await network("wide");
        await create("spread", ...spread);
        await lab.converged("spread", 2);
        const checksums = async () =>
          (await on("h1", `ethtool -k flx-${vni} | grep tx-checksumming`)).replace(/.*: /, "");
        await until("the kernel does it", async () => await checksums() === "off", 60_000, 200);
        await on("h2", "iptables -D INPUT -i fl-+ -p udp --dport 53 -j DROP");
        await until("it was not that", async () => await checksums() === "on", 60_000, 200);
      },
    );

    await t.step("a node without VXLAN gets no such tasks, and says why", async () => {
      for (const service of ["waiting", "clashing", "spread"]) {
        await lab.docker("h1", "service", "rm", service);
      }
      await until("no devices", async () => await on("h2", "ls /sys/class/net | grep flx-") === "");
      // As on a kernel that lacks the module.
      const folder = lab.host("h2").layout.folder;
      await Deno.mkdir(`${folder}/fake`);
      await Deno.writeTextFile(
        `${folder}/fake/ip`,
        `#!/bin/sh\ncase "$*" in *"type vxlan"*) echo "Error: Unknown device type." >&2; exit 2;; esac\n` +
          `exec ${await on("h2", "command -v ip")} "$@"\n`,
        { mode: 0o755 },
      );
      await lab.host("h2").stop("agent");
      const path = await on("h2", "echo $PATH");
      await lab.host("h2").startAgent([BINARY], [], { PATH: `${folder}/fake:${path}` });
      await until("the node says it", async () => {
        const { stdout } = await lab.try(
          "h1",
          "node",
          "inspect",
          "h2",
          "--format",
          "{{.Status.Message}}",
        );
        return /no VXLAN devices/.test(stdout);
      });
      await create("nowhere", "--network", "wide", ...h2);
      await told("nowhere", /no overlay networks on 1 node: .*modprobe vxlan/);
      await create("somewhere", "--network", "wide", "--replicas", "2");
      await lab.converged("somewhere", 2);
      assert.deepEqual((await lab.containers("somewhere")).map(({ host }) => host), ["h1", "h1"]);
    });
  });
});
