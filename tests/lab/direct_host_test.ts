/** The short cut past a bridge, on a kernel of its own name space, with an engine that is made up. */
import assert from "node:assert/strict";
import { inNetworkNamespace } from "./support/in_namespace.ts";

/** Runs in a network name space of its own; "the container" is a process in another one. */
const PROGRAM = `
const { DirectHost } = await import(Deno.args[0]);
const run = async (line) => {
  const [command, ...args] = line.split(" ");
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(line + ": " + new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
};
const table = () => run("nft -s list table netdev fleet").catch(() => "");
const container = new Deno.Command("unshare", { args: ["--net", "cat"], stdin: "piped" }).spawn();
try {
  const pid = container.pid;
  const own = await Deno.readLink("/proc/self/ns/net");
  while (await Deno.readLink("/proc/" + pid + "/ns/net") === own) await run("true");
  await run("ip link add fl-9 type bridge");
  await run("ip link add flx-9 type vxlan id 9 dstport 4789 nolearning");
  const mac = (last) => "02:42:0a:00:00:0" + last;
  for (const last of ["a", "b"]) {
    await run("ip link add veth-" + last + " type veth peer name eth" + last + " netns " + pid);
    await run("nsenter -t " + pid + " -n ip link set eth" + last + " address " + mac(last) + " up");
    await run("ip link set veth-" + last + " master fl-9 up");
  }
  const at = (last, address) => ({ MacAddress: mac(last), IPv4Address: address + "/24" });
  const answers = {
    "/networks": [{ Id: "net9", Labels: { "io.fleet.network": "net" } }],
    "/networks/net9": { Containers: { a: at("a", "10.0.0.10"), b: at("b", "10.0.0.11") } },
    "/containers/a/json": { State: { Running: true, Pid: pid } },
    "/containers/b/json": { State: { Running: true, Pid: pid } },
  };
  const events = new TransformStream();
  const engine = {
    socket: "none",
    request: async (_method, path) =>
      path.startsWith("/events") ? new Response(events.readable) : Response.json(answers[path]),
  };
  const host = new DirectHost(engine);
  const network = {
    id: "net", name: "net", bridge: "fl-9", vxlan: "flx-9", vni: 9, subnet: "10.0.0.0/24",
    tasks: ["10.0.0.10", "10.0.0.11"], remotes: [{ mac: "02:42:0a:00:00:63" }],
  };
  const signal = AbortSignal.timeout(60_000);
  const seen = {};
  const look = async (name) => {
    const text = await table();
    seen[name] = ["veth-a", "veth-b", "flx-9", "ip timeout 10m"].filter((part) => text.includes(part));
  };
  await host.apply([network], signal);
  await look("both");
  await run("nft flush set netdev fleet lease");
  await host.apply([network], signal);
  await look("renewed");

  const ends = new AbortController();
  let tell;
  const told = new Promise((resolve) => tell = resolve);
  const watching = host.watch((id) => id && tell(id), ends.signal);
  await run("ip link del veth-a");
  const writer = events.writable.getWriter();
  const event = { Type: "network", Action: "disconnect", Actor: { Attributes: { container: "a" } } };
  void writer.write(new TextEncoder().encode(JSON.stringify(event) + "\\n"));
  seen.told = await told;
  ends.abort();
  await writer.close().catch(() => {});
  await watching;
  await host.unplug(new Set([seen.told, "somebody's"]), signal);
  await look("unplugged");
  await host.unplug(new Set(["somebody's"]), signal);
  await look("nothing of ours");

  // Gone between the look and what it leads to.
  await run("ip link del flx-9");
  seen.refused = await host.apply([network], signal).then(() => "", ({ kind }) => kind);
  await look("after a refusal");
  await run("ip link add flx-9 type vxlan id 9 dstport 4789 nolearning");
  await host.apply([network], signal);
  await look("again");
  await host.apply([], signal);
  seen.left = await table();
  console.log(JSON.stringify(seen));
} finally {
  await container.stdin.close();
  await container.status;
}
`;

Deno.test("the short cut names cables that are there, or nothing at all", async () => {
  const lease = "ip timeout 10m";
  assert.deepEqual(await inNetworkNamespace(PROGRAM, "src/adapters/network/direct_host.ts"), {
    both: ["veth-a", "veth-b", "flx-9", lease],
    renewed: ["veth-a", "veth-b", "flx-9", lease],
    told: "a",
    unplugged: ["veth-b", "flx-9", lease],
    "nothing of ours": ["veth-b", "flx-9", lease],
    refused: "internal",
    "after a refusal": [],
    again: ["veth-b", "flx-9", lease],
    left: "",
  });
});
