import assert from "node:assert/strict";
import { parseIpvs, portMark } from "../../../src/core/network/ipvs.ts";
import type { VirtualMachine } from "./virtual_machine.ts";
import {
  addressesOf,
  AGENT_LOG,
  api,
  CLIENT,
  IMAGE,
  INFO,
  PATIENCE_MS,
  startAgent,
  stopAgent,
} from "./vm_cluster.ts";
import type { Step } from "./vm_cluster.ts";
import type { VmLab } from "./vm_lab.ts";
import { waiting } from "./waiting.ts";

const CHANGES = 100;
const MOST_REPLICAS = 4;
/** Less than the time between two audits, which would find a dead task, too. */
const AT_ONCE_MS = 5_000;
const SERVE = "/busybox sh -c '/busybox hostname >/index.html; exec /busybox httpd -f -p 80 -h /'";
const patient = { timeoutMs: PATIENCE_MS };

/** Answers to `count` requests from outside, each by a connection of its own, four at a time. */
async function ask({ network }: VmLab, target: string, count: number): Promise<string[]> {
  const one = `curl -sS -m 60 http://${target}/index.html`;
  const text = await network.must(`seq ${count} | xargs -P 4 -I _ ${one}`, patient);
  return text.trim().split("\n");
}

/** Waits for an answer: IPVS holds a service before the rules lead to it. */
async function answered({ network }: VmLab, target: string): Promise<void> {
  await waiting(`${target} answers`, async () => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const get = `curl -sSf -m 30 http://${target}/index.html || { sleep 0.2; exit 1; }`;
      const { code, stderr } = await network.run(get);
      if (code === 0) return;
      if (performance.now() > deadline) throw new Error(stderr);
    }
  });
}

/** Addresses with weight behind each published port, as `8080: 10.0.0.2 10.0.0.5`, one line each. */
async function balanced(machine: VirtualMachine): Promise<string> {
  const first = portMark({ protocol: "tcp", published: 0 });
  return parseIpvs(await machine.must("ipvsadm -Sn", patient))
    .filter(({ mark }) => mark >= first && mark < first + 0x1_0000)
    .map(({ mark, reals }) =>
      `${mark - first}: ${reals.filter(({ weight }) => weight > 0).map((r) => r.address).join(" ")}`
    ).join("\n");
}

/** The same, as the managers' store has it. */
async function intended(manager: VirtualMachine, service: string): Promise<string> {
  const { Endpoint } = JSON.parse(
    await manager.must(api(`/v1.41/services/${service}`), patient),
  ) as {
    Endpoint: { Ports?: { PublishedPort: number }[] };
  };
  const addresses = await addressesOf(manager, service, "ingress");
  return (Endpoint.Ports ?? []).map(({ PublishedPort }) => PublishedPort).sort((a, b) => a - b)
    .map((port) => `${port}: ${addresses.join(" ")}`).join("\n");
}

/** Waits until IPVS of both machines holds just the tasks that shall be there. */
async function converged(lab: VmLab, service: string, replicas: number): Promise<void> {
  await waiting(`IPVS of both machines holds the ${replicas} tasks of ${service}`, async () => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const wanted = await intended(lab.machines[0]!, service);
      const had = await Promise.all(lab.machines.map(balanced));
      const enough = wanted.split("\n").every((line) => line.split(" ").length === replicas + 1);
      if (enough && had.every((state) => state === wanted)) return;
      if (performance.now() > deadline) {
        throw new Error(`wanted\n${wanted}\nhave\n${had.join("\nand\n")}`);
      }
    }
  });
}

/** Whether as many tasks are behind port 8080. */
const reals = (count: number) =>
  `[ "$(ipvsadm -Sn | grep -c -- '^-a -f ${
    portMark({ protocol: "tcp", published: 8080 })
  } .* -w 1$')" = ${count} ]`;

/**
 * Says what it was told, by UDP at 9000 and by SCTP at 9101, with the protocol before it; and who asked, by TCP
 * at 9102 and by SCTP at 9103.
 */
const TALKER = `use Socket;
for my $who ([6, 9102], [132, 9103]) {
  next if fork;
  socket(L, AF_INET, SOCK_STREAM, $who->[0]) and setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1)
    and bind(L, pack_sockaddr_in($who->[1], INADDR_ANY)) or die "who: $!";
  listen(L, 9);
  while (my $from = accept(C, L)) { send(C, inet_ntoa((unpack_sockaddr_in($from))[1]), 0); close C }
}
if (!fork) {
  socket(U, AF_INET, SOCK_DGRAM, 17) and bind(U, pack_sockaddr_in(9000, INADDR_ANY)) or die "udp: $!";
  while (defined(my $from = recv(U, my $said, 99, 0))) { send(U, "udp $said", 0, $from) }
}
socket(S, AF_INET, SOCK_STREAM, 132) and bind(S, pack_sockaddr_in(9101, INADDR_ANY)) or die "sctp: $!";
listen(S, 9);
while (accept(C, S)) { recv(C, my $said, 99, 0); send(C, "sctp $said", 0); close C }`;
/** Perl is the machine's: the image has none. */
const TALK = "sh -c '/usr/bin/perl /srv/talker.pl & exec /busybox httpd -f -p 80 -h /'";
const PERLS_FOLDERS = [["/usr", "/usr"], ["/usr/lib", "/lib"], ["/usr/lib64", "/lib64"], [
  "/srv",
  "/srv",
]];
const PERLS_MOUNTS = PERLS_FOLDERS.map(([from, to]) => `--mount type=bind,src=${from},dst=${to},ro`)
  .join(" ");
const PERLS_VOLUMES = PERLS_FOLDERS.map(([from, to]) => `-v ${from}:${to}:ro`).join(" ");

/** Says "hello" to an address and prints the answer, which must come from there. */
const hello = (protocol: "udp" | "sctp", address: string, port: number) =>
  `/usr/bin/perl -MSocket=:all -e '
     my ($kind, $to) = "${address}" =~ /:/
       ? (AF_INET6, pack_sockaddr_in6(${port}, inet_pton(AF_INET6, "${address}")))
       : (AF_INET, pack_sockaddr_in(${port}, inet_aton("${address}")));
     alarm 20; socket(S, $kind, ${protocol === "udp" ? "SOCK_DGRAM, 17" : "SOCK_STREAM, 132"});
     connect(S, $to) or die "${protocol}: $!";
     send(S, "hello", 0); recv(S, my $said, 99, 0); print $said'`;

/** Published ports by IPVS, between agents on Debian's kernel; leaves the first machine with nftables. */
export async function ipvsSteps(step: Step, lab: VmLab): Promise<void> {
  const [vm1, vm2] = lab.machines as [VirtualMachine, VirtualMachine];
  await step("IPVS is chosen by itself, and every node answers for tasks of one", async () => {
    await vm1.must(
      `${CLIENT} service create --detach --no-resolve-image --name web --replicas 3 --restart-delay 10m --constraint node.hostname==vm2 --publish 8080:80 ${IMAGE} ${SERVE}`,
      patient,
    );
    await converged(lab, "web", 3);
    for (const machine of [vm1, vm2]) assert.match(await machine.must(INFO), /"Mesh":"ipvs"/);
    for (const { address } of [vm1, vm2]) {
      await answered(lab, `${address}:8080`);
      assert.equal(new Set(await ask(lab, `${address}:8080`, 9)).size, 3, address);
    }
    for (const machine of [vm1, vm2]) {
      assert.equal(
        await machine.must(`grep 'had been changed' ${AGENT_LOG} || true`),
        "",
        `${machine.name}: nobody has changed anything`,
      );
    }
    for (const client of [vm1, vm2]) {
      for (const address of ["127.0.0.1", vm1.address, vm2.address]) {
        const said = await client.must(
          // More than one turn each: where nftables balances, an audit begins its turns anew.
          `for i in 1 2 3 4 5 6 7 8 9; do curl -sS -m 60 http://${address}:8080/index.html; done`,
          patient,
        );
        assert.equal(new Set(said.trim().split("\n")).size, 3, `${client.name} at ${address}`);
      }
    }
  });

  await step("a thousand requests spread evenly", async () => {
    const counts = new Map<string, number>();
    for (const host of await ask(lab, `${vm1.address}:8080`, 1_000)) {
      counts.set(host, (counts.get(host) ?? 0) + 1);
    }
    const expected = 1_000 / 3;
    const chi = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    console.log(`    chi-square ${chi.toFixed(3)}: ${[...counts.values()].join(", ")}`);
    assert.equal(counts.size, 3);
    // The 5 % quantile of chi-square with two degrees of freedom.
    assert(chi < 5.99, `chi-square ${chi}: ${[...counts.values()]}`);
  });

  await step("a killed task is out at once", async () => {
    await vm2.must(
      "docker kill $(docker ps -q --filter label=com.docker.swarm.service.name=web | head -1)",
      patient,
    );
    const began = performance.now();
    await Promise.all([vm1, vm2].map((machine) => machine.until(reals(2), PATIENCE_MS)));
    const took = Math.round(performance.now() - began);
    console.log(`    out of IPVS of both machines ${took} ms after it was dead`);
    assert(took < AT_ONCE_MS, `${took} ms`);
    for (const answer of await ask(lab, `${vm1.address}:8080`, 6)) assert.match(answer, /^\w+$/);
    // Instead of the one that waits to be started again.
    await vm1.must(`${CLIENT} service scale --detach web=2`, patient);
    await converged(lab, "web", 2);
  });

  await step(
    "what others have in IPVS stays; what they took from fleet's comes back",
    async () => {
      await vm1.must("ipvsadm -C; ipvsadm -A -t 192.0.2.1:80 -s wlc; ipvsadm -A -f 7 -s rr");
      await waiting("IPVS is filled again", () => vm1.until(reals(2), PATIENCE_MS));
      const saved = await vm1.must("ipvsadm -Sn");
      assert.match(saved, /^-A -t 192\.0\.2\.1:80 -s wlc$/m);
      assert.match(saved, /^-A -f 7 -s rr$/m);
      await vm1.until(
        `grep -q 'had been changed; repaired' ${AGENT_LOG}`,
        PATIENCE_MS,
      );
      assert.equal((await ask(lab, `${vm1.address}:8080`, 3)).length, 3);
    },
  );

  await step("a kernel module that is removed while it runs comes back", async () => {
    await vm1.until(
      "ipvsadm -C; rmmod ip_vs_rr ip_vs_wlc ip_vs; ! grep -q '^ip_vs ' /proc/modules",
      PATIENCE_MS,
    );
    await waiting("IPVS is loaded and filled again", () => vm1.until(reals(2), PATIENCE_MS));
    assert.equal(await vm1.must("cat /proc/sys/net/ipv4/vs/conntrack"), "1\n");
    assert.equal((await ask(lab, `${vm1.address}:8080`, 3)).length, 3);
  });

  await step(`${CHANGES} changes at random end as intended on every node`, async () => {
    const [changes, last] = randomChanges();
    console.log(`    ${changes.length} changes, ${last} replicas at last`);
    await vm1.must(
      // Once more where the service has changed between reading and writing.
      `change() { ${CLIENT} service "$@" >/dev/null || ${CLIENT} service "$@" >/dev/null || exit 1; }\n` +
        changes.map((change) => `change ${change}`).join("\n"),
      { timeoutMs: 4 * PATIENCE_MS },
    );
    await converged(lab, "web", last);
  });

  await step("a service at port 53 leaves containers their name server", async () => {
    await vm1.must(`${CLIENT} network create -d overlay inner`, patient);
    await vm1.must(
      `${CLIENT} service create --detach --no-resolve-image --name asked --network inner --constraint node.hostname==vm2 --publish 53:80 ${IMAGE} ${SERVE}`,
      patient,
    );
    for (const machine of [vm1, vm2]) await answered(lab, `${machine.address}:53`);
    const [address] = await addressesOf(vm1, "asked", "inner");
    const task = "docker ps -q --filter label=com.docker.swarm.service.name=asked";
    assert(
      (await vm2.must(`docker exec $(${task}) /busybox nslookup tasks.asked`, patient))
        .includes(address!),
    );
    await vm1.must(`${CLIENT} service rm asked`, patient);
  });

  await step(
    "UDP and SCTP, and over IPv6 TCP as well: nodes with and without the task answer everybody",
    async () => {
      const [asked, asking] = ["fd00:88::1", "fd00:88::2"];
      await vm1.must(`ip addr add ${asked}/64 dev eth0 nodad`);
      await vm2.must(`ip addr add ${asking}/64 dev eth0 nodad
        cat >/srv/talker.pl <<'END'\n${TALKER}\nEND`);
      await vm1.must(
        `${CLIENT} service create --detach --no-resolve-image --name six --constraint node.hostname==vm2 \
         --publish 8086:80 --publish 9000:9000/udp --publish 9100:9101/sctp ${PERLS_MOUNTS} ${IMAGE} ${TALK}`,
        patient,
      );
      await waiting(
        "TCP answers",
        () => vm2.until(`curl -s -m 5 -o /dev/null http://[${asked}]:8086/`, PATIENCE_MS),
      );
      for (const [protocol, port] of [["udp", 9000], ["sctp", 9100]] as const) {
        const answers = (machine: VirtualMachine, address: string) =>
          waiting(`${protocol} at ${address}, asked by ${machine.name}`, () =>
            machine.until(
              `[ "$(${hello(protocol, address, port)})" = "${protocol} hello" ]`,
              PATIENCE_MS,
            ));
        // A node takes over an address that is new within the time between two audits.
        for (const address of [asked, vm1.address, "::1"]) await answers(vm2, address);
        // The task is elsewhere, and the packets are this machine's own.
        for (const address of ["::1", "127.0.0.1", vm1.address]) await answers(vm1, address);
        await vm1.must(`cat >/srv/hello <<'END'\n${hello(protocol, vm1.address, port)}\nEND`);
        await waiting(
          `${protocol} at ${vm1.address}, asked by a container`,
          () =>
            vm1.until(
              `[ "$(docker run --rm ${PERLS_VOLUMES} ${IMAGE} sh /srv/hello)" = "${protocol} hello" ]`,
              PATIENCE_MS,
            ),
        );
      }
      await vm1.must(`${CLIENT} service rm six`, patient);
    },
  );

  await step("source=preserve and source=node-local show tasks their clients", async () => {
    const publish = (published: number, target: number, source: string, protocol = "tcp") =>
      `--publish published=${published},target=${target},protocol=${protocol} --label fleet.source.${published}=${source}`;
    await vm1.must(
      `${CLIENT} service create --detach --no-resolve-image --name kept --constraint node.hostname==vm2 \
       ${publish(8083, 9102, "preserve")} ${publish(8084, 9102, "node-local")} \
       ${publish(9183, 9103, "preserve", "sctp")} ${publish(9184, 9103, "node-local", "sctp")} \
       ${PERLS_MOUNTS} ${IMAGE} ${TALK}`,
      patient,
    );
    const tcp = async (target: string) =>
      (await lab.network.run(`curl -s --http0.9 -m 10 http://${target}/`)).stdout;
    const seen = (target: string) =>
      waiting(`a task sees who asked ${target}`, async () => {
        const deadline = performance.now() + PATIENCE_MS;
        while (await tcp(target) !== lab.network.gateway) {
          if (performance.now() > deadline) throw new Error(await tcp(target));
        }
      });
    await seen(`${vm1.address}:8083`);
    await seen(`${vm2.address}:8083`);
    await seen(`${vm2.address}:8084`);
    assert.equal(await tcp(`${vm1.address}:8084`), "", "no task of its own");
    // The cable's own kernel has no SCTP: the machines ask one another.
    const sctp = (client: VirtualMachine, asked: VirtualMachine, port: number) =>
      waiting(`a task sees who asked ${asked.address}:${port} by SCTP`, () =>
        client.until(
          `[ "$(${hello("sctp", asked.address, port)})" = ${client.address} ]`,
          PATIENCE_MS,
        ));
    await sctp(vm1, vm2, 9183);
    await sctp(vm1, vm2, 9184);
    await sctp(vm2, vm1, 9183);
    await vm1.must(`${CLIENT} service rm kept`, patient);
  });

  await step("told to use nftables, it takes its services out of IPVS and goes on", async () => {
    await vm1.must(`${CLIENT} service scale --detach web=2`, patient);
    await converged(lab, "web", 2);
    await stopAgent(vm1);
    await startAgent(vm1, "--mesh-backend nftables");
    await vm1.until(`${INFO} | grep -q '"Mesh":"nftables"'`, PATIENCE_MS);
    await vm1.until(reals(0), PATIENCE_MS);
    assert.equal(new Set(await ask(lab, `${vm1.address}:8080`, 8)).size, 2);
    assert.match(await vm2.must(INFO, patient), /"Mesh":"ipvs"/);
  });

  await step("the service's removal leaves nothing", async () => {
    await vm1.must(`${CLIENT} service rm web`, patient);
    for (const machine of lab.machines) await machine.until(reals(0), PATIENCE_MS);
    assert.notEqual((await lab.network.run(`curl -s -m 2 http://${vm1.address}:8080/`)).code, 0);
  });
}

/** Arguments of `docker service` that change `web`, and how many replicas it has after all of them. */
function randomChanges(): [changes: readonly string[], replicas: number] {
  let replicas = 2;
  // A port of the container that nobody listens at: only IPVS is looked at.
  let second = false;
  const changes = Array.from({ length: CHANGES }, () => {
    if (Math.random() < 0.5) {
      second = !second;
      return `update --detach --publish-${second ? "add 8081:79" : "rm 79"} web`;
    }
    replicas = 1 + Math.floor(Math.random() * MOST_REPLICAS);
    return `scale --detach web=${replicas}`;
  });
  return [changes, replicas];
}
