import {
  deepStrictEqual,
  doesNotMatch,
  match,
  notStrictEqual,
  ok,
  strictEqual,
} from "node:assert/strict";
import fc from "fast-check";
import type { PublishedServer, VirtualServer } from "./balancer.ts";
import type { DesiredState } from "./desired.ts";
import {
  ipvsLine,
  ipvsServices,
  isOwnMark,
  parseIpvs,
  planIpvs,
  portMark,
  vipMarks,
} from "./ipvs.ts";
import type { IpvsOperation, IpvsService } from "./ipvs.ts";
import { nftRuleset } from "./nft_ruleset.ts";

const vip = (address: string, ...reals: [string, number][]): VirtualServer => ({
  key: address,
  name: "web",
  address,
  bridge: "fl-4096",
  subnet: "10.0.0.0/24",
  source: "10.0.0.2",
  reals: reals.map(([address, weight]) => ({ address, weight })),
});
const port = (published: number, ...reals: [string, number][]): PublishedServer => ({
  name: "web",
  protocol: "tcp",
  published,
  target: 80,
  reals: reals.map(([address, weight]) => ({ address, weight })),
});
const NETWORK: DesiredState["networks"][number] = {
  id: "net",
  name: "ingress",
  vni: 4096,
  port: 4789,
  bridge: "fl-4096",
  vxlan: "flx-4096",
  subnet: "10.0.0.0/24",
  gateway: "10.0.0.2",
  mtu: 1450,
  internal: false,
  ingress: true,
  local: "192.168.1.1",
  peers: [],
  remotes: [],
  tasks: [],
  vips: [],
};
const state = (published: PublishedServer[], balancers: VirtualServer[] = []): DesiredState => ({
  networks: [],
  balancers,
  published,
  peers: [],
  facts: { nodeId: "n1", dataPathAddr: "192.168.1.1", dataPathMtu: 1500, apiPort: 2377 },
});

/** IPVS as the kernel has it, moved by the lines that `ipvsadm -R` reads. */
class Kernel {
  readonly services = new Map<string, Map<string, string>>();
  constructor(lines: readonly string[] = []) {
    for (const line of lines) this.read(line);
  }
  read(line: string): void {
    const [command, , mark = "", , real = "", , , weight = ""] = line.split(" ");
    const reals = this.services.get(mark);
    if (command === "-A") {
      ok(!reals, `${line}: exists`);
      this.services.set(mark, new Map());
    } else if (command === "-D") ok(this.services.delete(mark), line);
    else if (command === "-d") ok(reals!.delete(real), line);
    else if (command === "-a") {
      ok(!reals!.has(real), `${line}: exists`);
      reals!.set(real, weight);
    } else if (command === "-e") {
      ok(reals!.has(real), line);
      reals!.set(real, weight);
    }
  }
  /** As `ipvsadm -Sn` prints it. */
  save(): string {
    return [...this.services].flatMap(([mark, reals]) => [
      `-A -f ${mark} -s rr`,
      ...[...reals].map(([real, weight]) => `-a -f ${mark} -r ${real} -m -w ${weight}`),
    ]).join("\n") + "\n";
  }
}

Deno.test("whatever the kernel holds, the lines lead to what it shall hold, and then there are none", () => {
  const reals = fc.uniqueArray(
    fc.tuple(
      fc.integer({ min: 3, max: 9 }).map((n) => `10.0.0.${n}`),
      fc.integer({ min: 0, max: 1 }),
    ),
    { selector: ([address]) => address, maxLength: 5 },
  );
  const states = fc.uniqueArray(fc.tuple(fc.integer({ min: 8080, max: 8085 }), reals), {
    selector: ([published]) => published,
  }).map((ports) => ipvsServices(state(ports.map(([published, of]) => port(published, ...of)))));
  fc.assert(fc.property(states, states, (before, after) => {
    const kernel = new Kernel(planIpvs(before, []).map(ipvsLine));
    for (const operation of planIpvs(after, parseIpvs(kernel.save()))) {
      kernel.read(ipvsLine(operation));
    }
    deepStrictEqual(parseIpvs(kernel.save()), after);
    deepStrictEqual(planIpvs(after, parseIpvs(kernel.save())), []);
  }));
});

Deno.test("services of others are left alone, by mark and by address", () => {
  const foreign = "-A -t 192.168.1.1:80 -s wlc\n-a -t 192.168.1.1:80 -r 192.168.1.2:80 -g -w 1\n" +
    "-A -f 7 -s rr\n-a -f 7 -r 192.168.1.2:80 -m -w 1\n";
  deepStrictEqual(planIpvs([], parseIpvs(foreign)), []);
  ok(!isOwnMark(7));
});

Deno.test("a draining task has weight 0, a new one comes in before an old one goes", () => {
  const before = ipvsServices(state([port(8080, ["10.0.0.3", 1], ["10.0.0.4", 1])]));
  const after = ipvsServices(state([port(8080, ["10.0.0.3", 0], ["10.0.0.5", 1])]));
  const mark = portMark(port(8080));
  deepStrictEqual(planIpvs(after, before).map(ipvsLine), [
    `-e -f ${mark} -r 10.0.0.3:80 -m -w 0`,
    `-a -f ${mark} -r 10.0.0.5:80 -m -w 1`,
    `-d -f ${mark} -r 10.0.0.4:80`,
  ]);
});

Deno.test("what somebody changed is put right: scheduler, weight, way of forwarding", () => {
  const desired = ipvsServices(state([port(8080, ["10.0.0.3", 1])]));
  const mark = portMark(port(8080));
  const changed: IpvsService[] = parseIpvs(
    `-A -f ${mark} -s wlc\n-a -f ${mark} -r 10.0.0.3:80 -g -w 5\n`,
  );
  deepStrictEqual(planIpvs(desired, changed).map(({ op }: IpvsOperation) => op), [
    "edit-service",
    "edit-real",
  ]);
});

Deno.test("marks are fleet's own, one for each port, protocol and virtual address", () => {
  const marks = vipMarks([vip("10.0.0.5"), vip("172.0.0.5"), vip("10.1.0.5")]);
  const all = [
    ...marks.values(),
    portMark(port(8080)),
    portMark({ ...port(8080), protocol: "udp" }),
  ];
  strictEqual(new Set(all).size, 5);
  ok(all.every(isOwnMark));
  notStrictEqual(marks.get("10.0.0.5"), marks.get("172.0.0.5"));
  // The lower address keeps its mark, whoever comes.
  strictEqual(vipMarks([vip("10.0.0.5")]).get("10.0.0.5"), marks.get("10.0.0.5"));
  const [service] = ipvsServices(state([], [vip("10.0.0.5", ["10.0.0.9", 1])]));
  strictEqual(service?.reals[0]?.port, 0);
});

Deno.test("what goes on to a task loses its mark: the frames that VXLAN makes of it would inherit it", () => {
  const rules = nftRuleset({ ...state([port(80, ["10.0.0.3", 1])]), networks: [NETWORK] }, "ipvs");
  const chain = /chain unmark \{([^}]*\}[^}]*)\}/.exec(rules)?.[1] ?? "";
  // After sources are translated, which goes by the mark.
  match(chain, /hook postrouting priority 110/);
  match(chain, /oifname \{ "fl-4096" \} meta mark & 0xfe000000 == 0x70000000 meta mark set 0/);
});

Deno.test("SCTP of this machine is none of IPVS, that of others is", () => {
  const sctp = { ...port(9100, ["10.0.0.3", 1]), protocol: "sctp" as const };
  const rules = nftRuleset({ ...state([sctp]), networks: [NETWORK] }, "ipvs");
  const chain = (name: string) => new RegExp(`chain ${name} {([^]*?)\n  }`).exec(rules)![1]!;
  match(
    chain("mark-in"),
    /meta iifkind { "bridge", "veth" } .* return\n.* meta mark set sctp dport map { 9100 : /,
  );
  match(
    chain("prerouting"),
    /meta iifkind { "bridge", "veth" } .* sctp dport vmap { 9100 : goto port-sctp-9100 }/,
  );
  doesNotMatch(chain("mark-out"), /sctp/);
  match(chain("output"), /ip daddr != { 127.* sctp dport vmap { 9100 : goto port-sctp-9100 }/);
});
