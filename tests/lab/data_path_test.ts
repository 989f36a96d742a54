/** Containers' frames on a network of their own: its address or interface, its port, and what is refused. */
import assert from "node:assert/strict";
import { withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

interface Vxlan {
  readonly ifname: string;
  readonly linkinfo: { readonly info_data: { readonly local?: string; readonly port?: number } };
}

Deno.test("a data path of its own", async () => {
  await withFleetLab("datapath", 3, async (lab) => {
    const hosts = lab.lab.hosts;
    const second = (name: string) => `10.66.0.${hosts.findIndex((host) => host.name === name) + 1}`;
    for (const { name } of hosts) {
      const addresses = `ip link add second type veth peer name second-end
        ip link set second-end up; ip link set second up
        ip addr add ${second(name)}/32 dev second`;
      await lab.host(name).exec(["sh", "-c", addresses]);
      for (const other of hosts) {
        if (other.name === name) continue;
        const via = ["ip", "route", "add", `${second(other.name)}/32`, "via", other.address];
        assert.equal((await lab.host(name).exec(via)).code, 0);
      }
    }
    const { name: h1, address } = hosts[0]!;
    const advertise = ["--advertise-addr", address];
    const refused = async (sentence: RegExp, ...flags: string[]) => {
      const { code, stderr } = await lab.try(h1, "init", ...advertise, ...flags);
      assert.equal(code, 1);
      assert.match(stderr, sentence);
    };
    await refused(/"nic7" is neither an IP address nor an interface/, "--data-path-addr", "nic7");
    await refused(
      /192\.0\.2\.1 is not an address of this machine/,
      "--data-path-addr",
      "192.0.2.1",
    );
    await refused(/1024/, "--data-path-port", "80");
    const path = ["--data-path-addr", "second", "--data-path-port", "7789"];
    await lab.fleet(h1, "init", ...advertise, ...path);
    const token = (await lab.fleet(h1, "join-token", "-q", "worker")).trim();
    const join = ["join", "--token", token, `${address}:2377`];
    await lab.fleet("h2", ...join, "--data-path-addr", second("h2"));
    // Without a word: of its two addresses the one that the managers are reached with.
    await lab.fleet("h3", ...join);
    await lab.docker(h1, "network", "create", "-d", "overlay", "back");
    await lab.docker(
      ...[h1, "service", "create", "-d", "-q", "--no-resolve-image", "--mode", "global"] as const,
      ...["--name", "web", "--network", "back", "busybox:latest", "sleep", "100000"],
    );
    await lab.converged("web", 3);
    const locals: Record<string, string | undefined> = {};
    for (const { name } of hosts) {
      const { stdout } = await lab.host(name).exec([
        "ip",
        "-d",
        "-j",
        "link",
        "show",
        "type",
        "vxlan",
      ]);
      const device = (JSON.parse(stdout) as Vxlan[]).find(({ ifname }) =>
        ifname.startsWith("flx-")
      );
      assert.equal(device?.linkinfo.info_data.port, 7789, `${name}: ${stdout}`);
      locals[name] = device.linkinfo.info_data.local;
    }
    assert.deepEqual(locals, { h1: second("h1"), h2: second("h2"), h3: hosts[2]!.address });
    const containers = await lab.containers("web");
    const addressOf = async ({ host, id }: { host: string; id: string }) => {
      const format = '{{(index .NetworkSettings.Networks "back").IPAddress}}';
      return (await lab.host(host).docker(["inspect", "-f", format, id])).stdout.trim();
    };
    for (const from of containers) {
      for (const to of containers) {
        const ping = ["exec", from.id, "ping", "-c1", "-W2", await addressOf(to)];
        await until(
          `${to.host} answers ${from.host}`,
          async () => (await lab.host(from.host).docker(ping)).code === 0,
          60_000,
          200,
        );
      }
    }
  });
});
