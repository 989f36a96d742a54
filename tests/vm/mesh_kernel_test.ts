/**
 * What `src/core/network` writes for IPVS, nftables and ESP, on Debian's kernel without engine or agent:
 * network namespaces are the tasks, the cable is the outside. Quick, and the same for both backends.
 */
import assert from "node:assert/strict";
import { deriveKey } from "../../src/adapters/network/esp_host.ts";
import type { MeshKind } from "../../src/core/network/balancer.ts";
import { desiredState } from "../../src/core/network/desired.ts";
import type { DesiredState } from "../../src/core/network/desired.ts";
import { desiredEsp, planEsp } from "../../src/core/network/esp.ts";
import { ipvsLine, ipvsServices, parseIpvs, planIpvs } from "../../src/core/network/ipvs.ts";
import { nftRuleset } from "../../src/core/network/nft_ruleset.ts";
import type { EndpointAssignment, NetworkAssignment } from "../../src/model/session.ts";
import { thousandServices } from "../support/thousand_services.ts";
import { captureDuring } from "./support/cable_capture.ts";
import { leanImage } from "./support/lean_image.ts";
import type { VirtualMachine } from "./support/virtual_machine.ts";
import { withVms } from "./support/vm_lab.ts";
import type { VmLab } from "./support/vm_lab.ts";
import { VM_PREFIX } from "./support/vm_network.ts";

const TASKS = ["10.0.0.2", "10.0.0.3", "10.0.0.4"];
const INGRESS: NetworkAssignment = {
  name: "ingress",
  vni: 4096,
  port: 4789,
  subnet: "10.0.0.0/24",
  gateway: "10.0.0.9",
  internal: false,
  ingress: true,
  peers: [],
};

/** The first machine's part of a service with a virtual address and two published ports. */
function state(phase: (address: string) => "serving" | "draining" | "gone"): DesiredState {
  const endpoints = TASKS.filter((address) => phase(address) !== "gone").map((
    address,
  ): [string, EndpointAssignment] => [address, {
    nodeId: "n1",
    serviceId: "s",
    names: [],
    addresses: [{ networkId: "net", address }],
    serving: phase(address) === "serving",
    ...(phase(address) === "draining" ? { draining: true } : {}),
  }]);
  return desiredState({
    networks: new Map([["net", INGRESS]]),
    endpoints: new Map(endpoints),
    services: new Map([["s", {
      name: "web",
      networks: [{ networkId: "net", aliases: [], vip: "10.0.0.5" }],
      ports: [
        { protocol: "tcp", published: 8080, target: 80 },
        { protocol: "tcp", published: 8082, target: 80, source: "node-local" },
        { protocol: "udp", published: 9000, target: 9000 },
        { protocol: "sctp", published: 9100, target: 9101 },
      ],
    }]]),
  }, { nodeId: "n1", dataPathAddr: "10.88.0.1", dataPathMtu: 1500, apiPort: 2377 });
}

/** Tasks `t2` to `t4` that tell their names over HTTP, slowly at /cgi-bin/slow, and UDP; a client `t20`. */
const TASKS_SCRIPT = `set -e
modprobe -a ip_vs ip_vs_rr sctp
for setting in conntrack expire_nodest_conn expire_quiescent_template conn_reuse_mode; do
  echo 1 >/proc/sys/net/ipv4/vs/$setting
done
ip link add fl-4096 type bridge
ip addr add 10.0.0.9/24 dev fl-4096
ip addr add 10.0.0.5/32 dev fl-4096
ip link set fl-4096 up
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.fl-4096.route_localnet=1
for n in 2 3 4 20; do
  ip netns add t$n
  ip link add v$n type veth peer name eth0 netns t$n
  ip link set v$n master fl-4096 up
  ip -n t$n addr add 10.0.0.$n/24 dev eth0
  ip -n t$n link set eth0 up
  ip -n t$n link set lo up
  ip -n t$n route add default via 10.0.0.9
  mkdir -p /srv/t$n/cgi-bin
  echo t$n >/srv/t$n/index.html
  printf '#!/bin/sh\\nsleep 3\\nprintf "Content-Type: text/plain\\\\r\\\\n\\\\r\\\\nt'$n'\\\\n"\\n' >/srv/t$n/cgi-bin/slow
  printf '#!/bin/sh\\nprintf "Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n$REMOTE_ADDR\\\\n"\\n' >/srv/t$n/cgi-bin/who
  chmod +x /srv/t$n/cgi-bin/slow /srv/t$n/cgi-bin/who
  ip netns exec t$n busybox httpd -p 80 -h /srv/t$n
  ip netns exec t$n setsid perl -e 'socket(S,2,1,132); bind(S,pack("S n x12",2,9101)); listen(S,9); while(accept(C,S)){send(C,"t'$n'",0); recv(C,$b,9,0); close C}' >/dev/null 2>&1 &
  ip netns exec t$n setsid perl -e 'socket(S,2,2,17); bind(S,pack("S n x12",2,9000)); while(defined($p=recv(S,$b,99,0))){send(S,"t'$n'",0,$p)}' >/dev/null 2>&1 &
done`;

const NODE = "10,88,0,1";
/** Sends one datagram and prints the answer. */
const UDP_CLIENT =
  `perl -e 'alarm 5; socket(S,2,2,17); send(S,"x",0,pack("S n C4 x8",2,9000,${NODE})); recv(S,$b,99,0); print "$b\\n"'`;

/** Makes an association, prints what it is told first, and says that it has it. The lab's kernel may not. */
const sctpClient = (node = NODE) =>
  `perl -e 'alarm 10; socket(S,2,1,132) or die; connect(S,pack("S n C4 x8",2,9100,${node})) or die "$!"; recv(S,$b,9,0); print "$b\\n"; send(S,"x",0)'`;

async function enforce(machine: VirtualMachine, mesh: MeshKind, desired: DesiredState) {
  const had = parseIpvs(await machine.must("ipvsadm -Sn"));
  const lines = planIpvs(mesh === "ipvs" ? ipvsServices(desired) : [], had).map(ipvsLine);
  await machine.must(`ipvsadm -R <<'END'\n${lines.join("\n")}\nEND`);
  await machine.must(`nft -f - <<'END'\n${nftRuleset(desired, mesh)}\nEND`);
}

const times = (count: number, command: string) =>
  `i=0; while [ $i -lt ${count} ]; do ${command}; i=$((i + 1)); done`;
const answers = (text: string) => text.trim().split("\n").sort();
const counted = (text: string) => [...new Set(answers(text))];

async function contract(t: Deno.TestContext, lab: VmLab, mesh: MeshKind): Promise<void> {
  const machine = lab.machines[0]!;
  const all = state(() => "serving");
  await t.step(`${mesh}: every address answers, wherever it is asked from`, async () => {
    await enforce(machine, mesh, all);
    const outside = await lab.network.must(
      times(6, "curl -sS -m 5 http://10.88.0.1:8080/index.html"),
    );
    assert.deepEqual(counted(outside), ["t2", "t3", "t4"], "from outside");
    for (const target of ["127.0.0.1:8080", "10.88.0.1:8080", "10.0.0.5"]) {
      const said = await machine.must(times(6, `curl -sS -m 5 http://${target}/index.html`));
      assert.deepEqual(counted(said), ["t2", "t3", "t4"], target);
    }
    for (const target of ["10.0.0.5", "10.88.0.1:8080"]) {
      const said = await machine.must(
        times(6, `ip netns exec t20 curl -sS -m 5 http://${target}/index.html`),
      );
      assert.deepEqual(counted(said), ["t2", "t3", "t4"], `${target} from a container`);
    }
    const who = (port: number) =>
      lab.network.must(times(3, `curl -sS -m 5 http://10.88.0.1:${port}/cgi-bin/who`));
    // As busybox writes addresses.
    const mapped = (address: string) => [`[::ffff:${address}]`];
    assert.deepEqual(counted(await who(8080)), mapped("10.0.0.9"), "masqueraded");
    assert.deepEqual(counted(await who(8082)), mapped(lab.network.gateway), "node-local");
    const udp = await lab.network.must(
      times(6, UDP_CLIENT),
    );
    assert.deepEqual(counted(udp), ["t2", "t3", "t4"], "UDP");
    const sctp = await lab.machines[1]!.must(`modprobe sctp; ${times(6, sctpClient())}`);
    assert.deepEqual(counted(sctp), ["t2", "t3", "t4"], "SCTP");
    for (
      const near of [sctpClient(), sctpClient("127,0,0,1"), `ip netns exec t20 ${sctpClient()}`]
    ) {
      assert.deepEqual(counted(await machine.must(times(6, near))), ["t2", "t3", "t4"], near);
    }
  });

  await t.step(`${mesh}: a task that drains keeps its connections and gets no more`, async () => {
    const slow = lab.network.must(
      times(3, "curl -sS -m 10 http://10.88.0.1:8080/cgi-bin/slow &").replace("&;", "&") + "; wait",
    );
    await machine.until("[ $(pgrep -fc 'sleep 3') -ge 3 ]", 10_000);
    await enforce(machine, mesh, state((address) => address === TASKS[0] ? "draining" : "serving"));
    const fresh = await lab.network.must(
      times(6, "curl -sS -m 5 http://10.88.0.1:8080/index.html"),
    );
    assert.deepEqual(counted(fresh), ["t3", "t4"]);
    assert.deepEqual(answers(await slow), ["t2", "t3", "t4"]);
    await enforce(machine, mesh, state((address) => address === TASKS[0] ? "gone" : "serving"));
  });

  await t.step(
    `${mesh}: a port without tasks refuses, and nothing of others was touched`,
    async () => {
      await machine.must("ipvsadm -A -t 192.0.2.1:80 -s wlc; ipvsadm -A -f 7 -s rr");
      await enforce(machine, mesh, state(() => "gone"));
      const refused = await lab.network.run("curl -sS -m 3 http://10.88.0.1:8080/");
      assert.match(refused.stderr, /refused|Couldn't connect/);
      assert.equal(
        await machine.must("ipvsadm -Sn"),
        "-A -t 192.0.2.1:80 -s wlc\n-A -f 7 -s rr\n",
      );
      await machine.must("ipvsadm -D -t 192.0.2.1:80; ipvsadm -D -f 7");
    },
  );
}

/** What `tests/bench/mesh.ts` measures of nftables where the kernel has no IPVS. */
async function thousand(t: Deno.TestContext, machine: VirtualMachine): Promise<void> {
  await t.step(
    "ipvs: a thousand services with ten tasks each, and one change of them",
    async () => {
      const put = async (state: DesiredState) => {
        const had = parseIpvs(await machine.must("ipvsadm -Sn"));
        const lines = planIpvs(ipvsServices(state), had).map(ipvsLine);
        // Timed by the machine: the way to it is a slow one.
        const times = await machine.must(
          `cat >/run/lines <<'END'\n${
            lines.join("\n")
          }\nEND\ncut -d' ' -f1 /proc/uptime; ipvsadm -R </run/lines; cut -d' ' -f1 /proc/uptime`,
        );
        const [began = 0, ended = 0] = times.trim().split("\n").map(Number);
        console.log(`    ${lines.length} lines in ${Math.round((ended - began) * 1000)} ms`);
        assert.deepEqual(
          planIpvs(ipvsServices(state), parseIpvs(await machine.must("ipvsadm -Sn"))),
          [],
        );
      };
      await put(thousandServices());
      await put(thousandServices(4_711));
      await machine.must("ipvsadm -C");
    },
  );
}

/** One end of an encrypted network of two machines, with keys `ids`, oldest first. */
function sealed(index: number, ids: readonly number[]): DesiredState {
  const other = 3 - index;
  return desiredState({
    networks: new Map([["net", {
      name: "sealed",
      vni: 4097,
      port: 4790,
      subnet: "10.0.7.0/24",
      gateway: `10.0.7.${index}`,
      internal: false,
      encryption: {
        keys: ids.map((id) => ({ id, key: new Uint8Array(32).fill(id).toBase64() })),
        primary: ids.at(-2)!,
      },
      peers: [{ nodeId: "other", addr: `10.88.0.${other}`, gateway: `10.0.7.${other}` }],
    }]]),
    endpoints: new Map(),
    services: new Map(),
  }, { nodeId: `n${index}`, dataPathAddr: `10.88.0.${index}`, dataPathMtu: 1500, apiPort: 2377 });
}

const link = (index: number, mtu: number) => {
  const [other, mac] = [3 - index, (n: number) => `02:42:0a:00:07:0${n}`];
  return `set -e
modprobe -a vxlan esp4 xfrm_user gcm
ip link add fl-4097 type bridge
ip addr add 10.0.7.${index}/24 dev fl-4097
ip link set fl-4097 mtu ${mtu} address ${mac(index)} up
ip link add flx-4097 type vxlan id 4097 dstport 4790 local 10.88.0.${index} nolearning proxy
ip link set flx-4097 mtu ${mtu} master fl-4097 up
ip neigh replace 10.0.7.${other} lladdr ${mac(other)} dev fl-4097 nud permanent
bridge fdb replace ${mac(other)} dev flx-4097 dst 10.88.0.${other} self permanent`;
};

async function encryption(t: Deno.TestContext, lab: VmLab): Promise<void> {
  const esp = (index: number, ids: readonly number[]) =>
    desiredEsp(sealed(index, ids).networks, deriveKey);
  const batch = (index: number, lines: readonly string[]) =>
    lab.machines[index - 1]!.must(`ip -batch - <<'END'\n${lines.join("\n")}\nEND`);
  const [vm1, vm2] = lab.machines as [VirtualMachine, VirtualMachine];
  for (const index of [1, 2]) {
    const desired = sealed(index, [1, 2, 3]);
    const machine = lab.machines[index - 1]!;
    await machine.must("modprobe -a esp4 xfrm_user gcm");
    await batch(index, planEsp(esp(index, [1, 2, 3]), { associations: [], policies: [] }));
    await machine.must(`nft -f - <<'END'\n${nftRuleset(desired)}\nEND`);
    await machine.must(link(index, desired.networks[0]!.mtu));
  }
  const sniffed = (run: () => Promise<void>) =>
    captureDuring(lab.network, { host: vm2.address, port: 4790, text: "MARKEDTEXT" }, run);

  await t.step("encrypted: only ESP is on the cable, and none of the text", async () => {
    await vm2.must(
      "mkdir -p /srv/sealed && yes MARKEDTEXT 2>/dev/null | head -c 300000 >/srv/sealed/file; busybox httpd -p 10.0.7.2:80 -h /srv/sealed",
    );
    const seen = await sniffed(async () => {
      assert.equal(await vm1.must("curl -sS -m 20 http://10.0.7.2/file | wc -c"), "300000\n");
    });
    assert(seen.esp > 50, `${seen.esp} packets of ESP`);
    assert.deepEqual([seen.clear, seen.text], [0, 0]);
  });

  await t.step("encrypted: a rotation loses no packet, one node after the other", async () => {
    const ping = vm1.must("busybox ping -c 50 -i 0.1 -W 2 10.0.7.2 | tail -n 2");
    await batch(1, planEsp(esp(1, [2, 3, 4]), esp(1, [1, 2, 3])));
    // The other one has not heard of it yet, and sends and receives all the same.
    await vm1.must("busybox ping -c 5 -i 0.1 -W 2 10.0.7.2");
    await batch(2, planEsp(esp(2, [2, 3, 4]), esp(2, [1, 2, 3])));
    assert.match(await ping, /50 packets transmitted, 50 packets received, 0% packet loss/);
  });

  await t.step("encrypted: without the kernel's policies nothing leaves at all", async () => {
    const seen = await sniffed(async () => {
      await vm1.must("ip xfrm policy flush; ip xfrm state flush");
      assert.notEqual((await vm1.run("busybox ping -c 3 -i 0.2 -W 1 10.0.7.2")).code, 0);
    });
    assert.deepEqual([seen.clear, seen.text], [0, 0]);
    await batch(1, planEsp(esp(1, [2, 3, 4]), { associations: [], policies: [] }));
    await vm1.must("busybox ping -c 3 -i 0.2 -W 2 10.0.7.2");
  });

  await t.step("encrypted: what comes in clear is not taken", async () => {
    await vm2.must("ip xfrm policy flush; ip xfrm state flush; nft delete chain ip fleet sealed");
    const seen = await sniffed(async () => {
      assert.notEqual((await vm2.run("busybox ping -c 3 -i 0.2 -W 1 10.0.7.1")).code, 0);
    });
    assert(seen.clear >= 3, "the packets were sent");
  });
}

Deno.test("the kernel does what the mesh and encrypted networks write", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: `${VM_PREFIX}${Deno.pid}-` });
  try {
    await withVms({ count: 2, share: folder, memoryMb: 512, image: leanImage }, async (lab) => {
      const [vm1] = lab.machines as [VirtualMachine];
      await vm1.must(TASKS_SCRIPT);
      await contract(t, lab, "ipvs");
      await thousand(t, vm1);
      await contract(t, lab, "nftables");
      await encryption(t, lab);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
