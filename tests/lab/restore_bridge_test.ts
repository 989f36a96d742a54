/** A bridge that somebody deleted under running containers, on a kernel of its own name space. */
import assert from "node:assert/strict";
import { inNetworkNamespace } from "./support/in_namespace.ts";

/** Runs in a network name space of its own; "the container" is a process in another one. */
const PROGRAM = `
const { restoreBridge } = await import(Deno.args[0]);
const run = async (line) => {
  const [command, ...args] = line.split(" ");
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(line + ": " + new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
};
const container = new Deno.Command("unshare", { args: ["--net", "cat"], stdin: "piped" }).spawn();
try {
  const pid = container.pid;
  const own = await Deno.readLink("/proc/self/ns/net");
  while (await Deno.readLink("/proc/" + pid + "/ns/net") === own) await run("true");
  const mac = "02:42:0a:00:00:0b";
  for (const [cable, name] of [["veth-a", "eth0"], ["veth-b", "eth1"]]) {
    await run("ip link add " + cable + " type veth peer name " + name + " netns " + pid);
  }
  await run("nsenter -t " + pid + " -n ip link set eth0 address " + mac + " up");
  await run("ip link add fl-9 type bridge");
  await run("ip link set veth-a master fl-9 up");
  await run("ip link del fl-9");
  const engine = {
    socket: "none",
    request: (_method, path) => {
      if (path === "/networks/net9") return Response.json({ Containers: {
        here: { MacAddress: mac }, gone: { MacAddress: "02:42:0a:00:00:0c" },
      } });
      if (path !== "/containers/here/json") return Promise.reject(new Error("no such container"));
      return Response.json({ State: { Running: true, Pid: pid } });
    },
  };
  const silent = { ...engine, request: () => Promise.reject(new Error("the engine is away")) };
  const network = { bridge: "fl-9", mtu: 1450 };
  const signal = AbortSignal.timeout(60_000);
  const bridges = async () =>
    JSON.parse(await run("ip -j link show type bridge") || "[]").map(({ ifname }) => ifname);
  const refused = await restoreBridge(silent, network, "net9", signal).then(() => "", String);
  const after = await bridges();
  await restoreBridge(engine, network, "net9", signal);
  const ports = JSON.parse(await run("ip -j link show master fl-9"));
  const [bridge] = JSON.parse(await run("ip -j link show fl-9"));
  console.log(JSON.stringify({
    refused, after, ports: ports.map(({ ifname }) => ifname), mtu: bridge.mtu, up: bridge.flags.includes("UP"),
  }));
} finally {
  await container.stdin.close();
  await container.status;
}
`;

Deno.test("a deleted bridge comes back with its containers' cables, or not at all", async () => {
  assert.deepEqual(await inNetworkNamespace(PROGRAM, "src/adapters/network/restore_bridge.ts"), {
    refused: "Error: the engine is away",
    after: [],
    ports: ["veth-a"],
    mtu: 1450,
    up: true,
  });
});
