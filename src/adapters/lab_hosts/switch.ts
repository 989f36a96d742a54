import { FleetError } from "../../base/errors.ts";
import type { HostLayout, LabLayout } from "./layout.ts";
import { capture, must } from "./process.ts";

/**
 * The underlay: a bridge in a network namespace of its own. There neither the machine's firewall nor an
 * engine on the machine touches its frames, and no setting of the machine has to be changed for it.
 */
export async function createSwitch(lab: LabLayout): Promise<void> {
  const { switchNamespace, uplink, gateway } = lab;
  await batch([
    `netns add ${switchNamespace}`,
    `link add ${uplink} type veth peer name uplink netns ${switchNamespace}`,
    `addr add ${gateway}/24 dev ${uplink}`,
    `link set ${uplink} up`,
  ]);
  await batch(
    ["link add br0 type bridge", "link set br0 up", "link set uplink master br0 up"],
    lab,
  );
}

/** Gives a host its network namespace and the cable to the switch. */
export async function plugIn(lab: LabLayout, host: HostLayout): Promise<void> {
  await batch([
    `netns add ${host.namespace}`,
    `link add eth0 netns ${host.namespace} type veth peer name ${host.port} netns ${lab.switchNamespace}`,
  ]);
  await batch([`link set ${host.port} master br0 up`], lab);
  await batch([
    "link set lo up",
    `addr add ${host.address}/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${lab.gateway}`,
  ], { switchNamespace: host.namespace });
}

/** Pulls or puts back a host's cable, at the switch: the host itself sees no carrier. */
export async function setPort(
  lab: LabLayout,
  host: HostLayout,
  state: "up" | "down",
): Promise<void> {
  await batch([`link set ${host.port} ${state}`], lab);
}

/** Drops, or no longer drops, every frame between two hosts; neither is told. */
export async function separate(
  lab: LabLayout,
  [a, b]: readonly [HostLayout, HostLayout],
  cut: boolean,
): Promise<void> {
  for (const [from, to] of [[a, b], [b, a]] as const) {
    const rule = ["FORWARD", "-i", from.port, "-o", to.port, "-j", "DROP"];
    const ebtables = ["nsenter", `--net=/run/netns/${lab.switchNamespace}`, "ebtables"];
    // Taken out first, so that doing it twice is the same as once.
    await capture([...ebtables, "-D", ...rule]);
    if (cut) await must([...ebtables, "-A", ...rule]);
  }
}

/** What `separate` and `setPort` have done: pairs of hosts, and single ones. A host without power has no port. */
export async function cuts(
  lab: LabLayout,
  hosts: readonly HostLayout[],
): Promise<readonly (readonly string[])[]> {
  const inside = ["nsenter", `--net=/run/netns/${lab.switchNamespace}`];
  const rules = await capture([...inside, "ebtables", "-L", "FORWARD"]);
  const apart = [...rules.stdout.matchAll(/-i (\S+) -o (\S+) -j DROP/g)]
    .map(([, from, to]) => [from!, to!]).filter(([from, to]) => from! < to!);
  const ports = await capture(["ip", "-n", lab.switchNamespace, "-o", "link", "show"]);
  const off = hosts.filter(({ port }) =>
    new RegExp(`^\\d+: ${port}@\\S+ <(?!.*\\bUP\\b)`, "m").test(ports.stdout)
  );
  return [...apart, ...off.map(({ name }) => [name])];
}

/**
 * What the cable to a host does to packets: `tc netem`, where the kernel has it; loss alone also by
 * nftables. Both zero makes it whole. @throws FleetError unavailable when the kernel cannot
 */
export async function impair(
  lab: LabLayout,
  host: HostLayout,
  { delayMs, lossPercent }: { readonly delayMs: number; readonly lossPercent: number },
): Promise<void> {
  const inside = ["nsenter", `--net=/run/netns/${lab.switchNamespace}`];
  const table = `lossy_${host.port}`;
  await capture([...inside, "tc", "qdisc", "del", "dev", host.port, "root"]);
  await capture([...inside, "nft", "delete", "table", "bridge", table]);
  if (delayMs === 0 && lossPercent === 0) return;
  const netem = ["netem", "delay", `${delayMs}ms`, "loss", `${lossPercent}%`];
  const tc = await capture([...inside, "tc", "qdisc", "add", "dev", host.port, "root", ...netem]);
  if (tc.code === 0) return;
  if (delayMs > 0) {
    throw new FleetError(
      "unavailable",
      `this kernel cannot hold packets back (${tc.stderr.trim()}): modprobe sch_netem, or leave --delay out`,
    );
  }
  const thousandths = Math.round(lossPercent * 10);
  await must([...inside, "nft", "-f", "-"], {
    stdin: `table bridge ${table} {
  chain forward {
    type filter hook forward priority 0;
    oifname "${host.port}" numgen random mod 1000 < ${thousandths} drop
  }
}
`,
  });
}

async function batch(
  lines: readonly string[],
  inside?: Pick<LabLayout, "switchNamespace">,
): Promise<void> {
  const where = inside ? ["-n", inside.switchNamespace] : [];
  await must(["ip", ...where, "-batch", "-"], { stdin: `${lines.join("\n")}\n` });
}
