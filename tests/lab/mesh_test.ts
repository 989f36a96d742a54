/** Published ports on every node, and a stack by the stock client, on three real hosts. */
import assert from "node:assert/strict";
import type { FleetLab } from "../support/fleet_lab.ts";
import { withFleetLab } from "../support/fleet_lab.ts";
import { loadNetworkImage, NETWORK_IMAGE } from "./support/network_image.ts";
import { until } from "../support/until.ts";

const SERVE = "hostname >/www/index.html; exec httpd -f -p 80 -h /www";

/** Tells a client which address it is seen with. */
const WHO =
  `busybox mkdir -p /www/cgi-bin; printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n$REMOTE_ADDR"\n' >/www/cgi-bin/who; busybox chmod +x /www/cgi-bin/who; exec httpd -f -p 80 -h /www`;

/** Answers datagrams with its container's name. */
const ECHO =
  `socket(S,2,2,17); bind(S,pack("S n x12",2,9000)); while(defined($p=recv(S,$b,99,0))){send(S,$ENV{HOSTNAME},0,$p)}`;

/** Says who asks by the PROXY header, which it demands, and which address the connection came from. */
const NGINX = "user root; daemon off; worker_processes 1; error_log /dev/null; pid /tmp/pid; " +
  "events {} http { access_log off; server { listen 80 proxy_protocol; location / " +
  '{ return 200 "$proxy_protocol_addr $proxy_protocol_server_addr $proxy_protocol_server_port\\n"; } } }';
const PROXIED =
  `busybox mkdir -p /var/lib/nginx /var/log/nginx; echo root:x:0:0::/:/bin/sh >/etc/passwd; echo root:x:0: >/etc/group; echo '${NGINX}' >/tmp/conf; exec nginx -c /tmp/conf`;

/** Runs a shell script on a host, outside any container. */
async function on(lab: FleetLab, host: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await lab.host(host).exec(["sh", "-c", script]);
  assert.equal(code, 0, `${script} on ${host}: ${stdout}${stderr}`);
  return stdout;
}

const distinct = (text: string) => new Set(text.split("\n").filter(Boolean));

Deno.test("published ports answer on every node", async (t) => {
  await withFleetLab("mesh", 3, async (lab) => {
    await lab.form();
    await loadNetworkImage(lab.lab.hosts, ["nginx"]);
    const addresses = ["127.0.0.1", ...lab.lab.hosts.map(({ address }) => address)];

    await t.step("from every node to every address, whoever runs the task", async () => {
      await lab.docker(
        "h1",
        ...["service", "create", "--detach", "--no-resolve-image", "--name", "web"],
        ...["--replicas", "2", "--publish", "8080:80", "--publish", "9000", NETWORK_IMAGE],
        ...["sh", "-c", SERVE],
      );
      await lab.converged("web", 2);
      for (const { name } of lab.lab.hosts) {
        for (const address of addresses) {
          await until(`both tasks answer ${name} at ${address}`, async () => {
            const { stdout } = await lab.host(name).exec([
              ...["sh", "-c", `for i in 1 2 3 4; do curl -sS -m 5 http://${address}:8080/; done`],
            ]);
            return distinct(stdout).size === 2;
          });
        }
      }
      const ports = await lab.fleet("h1", "service", "ls", "--format", "{{.Ports}}");
      assert.equal(ports.trim(), "*:8080->80/tcp, *:30000->9000/tcp");
    });

    await t.step("taken and own ports are refused, naming who has them", async () => {
      const refused = async (port: string, sentence: RegExp) => {
        const { code, stderr } = await lab.tryDocker("h1", [
          ...["service", "create", "--detach", "--no-resolve-image", "--publish", port],
          NETWORK_IMAGE,
        ]);
        assert.notEqual(code, 0);
        assert.match(stderr, sentence);
      };
      await refused("8080:81", /port '8080' is already in use by service 'web'/);
      await refused("2377:80", /port '2377' is the managers' own/);
    });

    await t.step("a rolling update, starting first, fails no request", async () => {
      const stop = new AbortController();
      let [good, bad] = [0, 0];
      const load = lab.lab.hosts.map(async ({ name, address }) => {
        while (!stop.signal.aborted) {
          const { stdout } = await lab.host(name).exec([
            "sh",
            "-c",
            `for i in $(seq 20); do curl -sS -o /dev/null -m 30 -w '%{http_code}\\n' http://${address}:8080/ 2>&1; done`,
          ]);
          for (const line of stdout.trim().split("\n")) line === "200" ? good++ : bad++;
        }
      });
      // Health gates the new task: it is sent nothing before its server listens.
      await lab.docker(
        "h1",
        ...["service", "update", "--detach=false", "--quiet", "--no-resolve-image", "--force"],
        ...["--update-order", "start-first", "--update-parallelism", "1"],
        ...["--health-cmd", "curl -sf http://127.0.0.1/", "--health-interval", "300ms", "web"],
      );
      stop.abort();
      await Promise.all(load);
      assert.equal(bad, 0, `${good} good, ${bad} bad`);
      assert(good >= 100, `${good} requests`);
    });

    await t.step("a new node answers, and one without tasks does", async () => {
      await lab.docker(
        "h1",
        "service",
        "update",
        "--detach",
        "--constraint-add",
        "node.hostname==h3",
        "web",
      );
      await until(
        "all on h3",
        async () =>
          (await lab.containers("web")).every(({ host }) => host === "h3") &&
          (await lab.running("web")).length === 2,
      );
      await until("h1 is served from h3", async () => {
        const served = await on(
          lab,
          "h1",
          "for i in 1 2 3 4; do curl -s -m 5 http://127.0.0.1:8080/; done",
        );
        return distinct(served).size === 2;
      });
    });

    await t.step(
      "containers of other networks are answered at every node, its own too",
      async () => {
        await lab.fleet("h1", "network", "create", "-d", "overlay", "--attachable", "beside");
        const urls = lab.lab.hosts.map(({ address }) => `http://${address}:8080/`);
        const ask = `for url in ${urls.join(" ")}; do curl -sS -m 10 $url; done`;
        const own = ["--rm", NETWORK_IMAGE, "sh", "-c", ask];
        for (
          const { stdout, stderr } of [
            await lab.lab.host("h1").docker(["run", ...own]),
            await lab.tryDocker("h1", ["run", "--network", "beside", ...own]),
          ]
        ) assert.match(stdout, /^(\w+\n){3}$/, stderr);
        await until(
          "nobody is on the network",
          async () => (await lab.try("h1", "network", "rm", "beside")).code === 0,
        );
      },
    );

    await t.step("docker stack deploy: networks, names, ports, prune, rm", async () => {
      const file = `version: "3.8"
services:
  db:
    image: ${NETWORK_IMAGE}
    command: sh -c "echo data >/www/index.html; exec httpd -f -p 5432 -h /www"
    networks: [back]
  app:
    image: ${NETWORK_IMAGE}
    command: sh -c "while ! curl -sf -m 2 http://db:5432/ >/www/index.html; do sleep 0.2; done; exec httpd -f -p 80 -h /www"
    networks: [back, default]
    ports: ["8081:80"]
    deploy: {replicas: 2}
networks:
  back: {}
`;
      const deployed = await lab.tryDocker(
        "h1",
        ["stack", "deploy", "--resolve-image", "never", "-c", "-", "shop"],
        file,
      );
      assert.equal(deployed.code, 0, deployed.stderr);
      await until(
        "the app serves what the database has",
        async () =>
          (await lab.host("h2").exec(["curl", "-s", "-m", "2", "http://127.0.0.1:8081/"]))
            .stdout ===
            "data\n",
      );
      await until(
        "both replicas",
        async () => /shop_app .*2\/2/.test(await lab.docker("h1", "stack", "services", "shop")),
      );
      assert.match(await lab.docker("h1", "network", "ls"), /shop_back\s+overlay\s+swarm/);
      await lab.docker("h1", "stack", "rm", "shop");
      await until(
        "the stack's networks are gone",
        async () => !/shop/.test(await lab.docker("h1", "network", "ls")),
      );
    });

    await t.step("datagrams are balanced, and never sent to a task that is gone", async () => {
      await lab.fleet(
        "h1",
        ...["service", "create", "--name", "echo", "--replicas", "2", "--publish", "9100:9000/udp"],
        ...["--stop-grace-period", "0s", "--no-resolve-image", NETWORK_IMAGE, "perl", "-e", ECHO],
      );
      const ask = (host: string, port: number) =>
        lab.host("h1").exec([
          "perl",
          "-e",
          `alarm 5; socket(S,2,2,17); bind(S,pack("S n x12",2,${port})); send(S,"x",0,pack("S n C4 x8",2,9100,${
            lab.host(host).address.replaceAll(".", ",")
          })); recv(S,$b,99,0); print $b`,
        ]).then(({ stdout }) => stdout);
      const seen = new Set<string>();
      await until("both answer, on every node", async () => {
        for (const { name } of lab.lab.hosts) seen.add(await ask(name, 0));
        seen.delete("");
        return seen.size === 2;
      });
      // One port of the client is one connection for the kernel, whichever task is gone.
      const ports = new Map<string, number>();
      for (let port = 5001; port < 5020 && ports.size < 2; port++) {
        const task = await ask("h2", port);
        if (task !== "") ports.set(task, port);
      }
      const [one, other] = [...ports.values()];
      assert(one && other, [...ports.keys()].join());
      await lab.fleet("h1", "service", "scale", "echo=1");
      await until("both ports are answered by the one that is left", async () => {
        const after = [await ask("h2", one), await ask("h2", other)];
        return after[0] !== "" && after[0] === after[1];
      });
      await lab.fleet("h1", "service", "rm", "echo");
    });

    await t.step(
      "source=node-local: tasks of that node, and the client's own address",
      async () => {
        await lab.fleet(
          "h1",
          ...["service", "create", "--name", "near", "--constraint", "node.hostname==h2"],
          ...["--publish", "published=8082,target=80,source=node-local", "--no-resolve-image"],
          ...[NETWORK_IMAGE, "sh", "-c", WHO],
        );
        const shown = async (host: string) =>
          (await lab.host("h1").exec([
            ...["curl", "-s", "-m", "3", `http://${lab.host(host).address}:8082/cgi-bin/who`],
          ])).stdout;
        // The server writes IPv4 as IPv6 does.
        const seen = `[::ffff:${lab.host("h1").address}]`;
        await until("the task sees h1", async () => await shown("h2") === seen);
        assert.equal(await shown("h3"), "");
        const [port] = (JSON.parse(await lab.fleet("h1", "service", "inspect", "near")) as {
          Endpoint: { Ports: { Source?: string }[] };
        }[])[0]!.Endpoint.Ports;
        assert.equal(port?.Source, "node-local");
      },
    );

    await t.step("source=preserve: any node answers, and the task sees the client", async () => {
      await lab.fleet(
        "h1",
        ...["service", "create", "--name", "kept", "--constraint", "node.hostname==h2"],
        ...["--publish", "published=8083,target=80,source=preserve", "--no-resolve-image"],
        ...[NETWORK_IMAGE, "sh", "-c", WHO],
      );
      for (const client of ["h1", "h3"]) {
        for (const { name, address } of lab.lab.hosts) {
          if (name === client) continue;
          const ask = ["curl", "-s", "-m", "3", `http://${address}:8083/cgi-bin/who`];
          const seen = `[::ffff:${lab.host(client).address}]`;
          await until(
            `${client} at ${name} is seen as itself`,
            async () => (await lab.host(client).exec(ask)).stdout === seen,
          );
        }
      }
      await lab.fleet("h1", "service", "rm", "kept");
    });

    // Addresses of their own beside those that every link has.
    const six = new Map(lab.lab.hosts.map(({ name }, i) => [name, `fd00:f1ee::${i + 1}`]));
    await t.step("every node answers over IPv6 as well, whoever runs the task", async () => {
      for (const [name, address] of six) {
        await on(lab, name, `ip -6 addr add ${address}/64 dev eth0 nodad`);
      }
      for (const { name } of lab.lab.hosts) {
        for (const address of ["::1", ...six.values()]) {
          const url = `http://[${address}]:8080/`;
          await until(`both tasks answer ${name} at ${url}`, async () => {
            const asked = await lab.host(name).exec([
              ...["sh", "-c", `for i in 1 2 3 4; do curl -sS -g -m 5 '${url}'; done`],
            ]);
            return asked.code === 0 && distinct(asked.stdout).size === 2;
          });
        }
      }
    });

    await t.step("datagrams over IPv6 are answered from the address that was asked", async () => {
      await lab.fleet(
        "h1",
        ...["service", "create", "--detach", "--name", "echo6", "--replicas", "2"],
        ...["--constraint", "node.hostname!=h1", "--publish", "53:9000/udp"],
        ...["--stop-grace-period", "0s", "--no-resolve-image", NETWORK_IMAGE, "perl", "-e", ECHO],
      );
      const tasksAt = async (address: string) => {
        // A connected socket hears nobody else.
        const ask =
          `alarm 2; socket(S,10,2,17); connect(S,pack("S n N a16 N",10,53,0,Socket::inet_pton(10,"${address}"),0)); send(S,"x",0); recv(S,$b,99,0); print "$b\n"`;
        const { stdout } = await lab.host("h1").exec([
          ...["sh", "-c", `for i in 1 2 3 4; do perl -MSocket -e '${ask}'; done`],
        ]);
        return distinct(stdout).size;
      };
      for (const address of ["::1", six.get("h1")!]) {
        await until(
          `both tasks answer h1 at ${address}`,
          async () => await tasksAt(address) === 2,
        );
      }
      // Who sends as if from the port itself would have two tasks answer each other for ever.
      const forged =
        `socket(S,10,3,17); setsockopt(S,41,7,pack("i",6)); bind(S,pack("S n N a16 N",10,0,0,Socket::inet_pton(10,"::1"),0)); send(S,pack("n4",53,53,9,0)."x",0,pack("S n N a16 N",10,0,0,Socket::inet_pton(10,"::1"),0)) or die $!`;
      const received = async () =>
        Number(await on(lab, "h1", "awk '/^Udp6InDatagrams/ { print $2 }' /proc/net/snmp6"));
      const before = await received();
      await on(lab, "h1", `perl -MSocket -e '${forged}'`);
      // Four questions and answers take far longer than thousands of datagrams would.
      assert.equal(await tasksAt("::1"), 2);
      const heard = await received() - before;
      assert(heard > 0 && heard < 50, `${heard} datagrams`);
      await lab.fleet("h1", "service", "rm", "echo6");
    });

    await t.step(
      "source=proxy: a real server is told of the client, over IPv4 and IPv6",
      async () => {
        await lab.fleet(
          "h1",
          ...["service", "create", "--name", "told", "--constraint", "node.hostname==h2"],
          ...["--publish", "published=8084,target=80,source=proxy", "--no-resolve-image"],
          ...[NETWORK_IMAGE, "sh", "-c", PROXIED],
        );
        for (const { name, address } of lab.lab.hosts) {
          const ways = [
            [lab.host("h1").address, address],
            ["127.0.0.1", "127.0.0.1"],
            [six.get("h1")!, six.get(name)!],
          ];
          for (const [client, asked] of ways) {
            const host = asked === "127.0.0.1" ? name : "h1";
            // A node that asks itself does so from the address that it asks.
            const seen = host === name && asked !== "127.0.0.1" ? asked : client;
            const url = `http://${asked!.includes(":") ? `[${asked}]` : asked}:8084/`;
            await until(`${host} at ${url} is seen as ${seen}`, async () => {
              const { stdout } = await lab.host(host).exec(["curl", "-s", "-g", "-m", "5", url]);
              return stdout === `${seen} ${asked} 8084\n`;
            });
          }
        }
        const [port] = (JSON.parse(await lab.fleet("h1", "service", "inspect", "told")) as {
          Endpoint: { Ports: { Source?: string }[] };
        }[])[0]!.Endpoint.Ports;
        assert.equal(port?.Source, "proxy");
        await lab.fleet("h1", "service", "rm", "told");
        await until("the port is closed again", async () => {
          const asked = await lab.host("h1").exec([
            "curl",
            "-s",
            "-m",
            "5",
            "http://127.0.0.1:8084/",
          ]);
          return asked.code === 7;
        });
      },
    );

    await t.step(
      "a port that a program listens at stays its own, and doctor names it",
      async () => {
        await on(lab, "h2", "busybox httpd -p 8099 -h /proc/self/fdinfo");
        await lab.fleet(
          "h1",
          ...["service", "create", "--detach", "--name", "other", "--no-resolve-image"],
          ...["--constraint", "node.hostname==h2", "--publish", "8099:80", NETWORK_IMAGE],
          ...["sh", "-c", SERVE],
        );
        await until(
          "the task is refused with the program's name",
          async () =>
            (await lab.tasks("other")).some(({ Status }) =>
              /port 8099\/tcp of service other is in use by busybox \(pid \d+\)/.test(
                Status.Err ?? "",
              )
            ),
        );
        await lab.fleet(
          "h1",
          ...["service", "update", "--detach", "--constraint-rm", "node.hostname==h2"],
          ...["--constraint-add", "node.hostname==h3", "other"],
        );
        await lab.converged("other", 1);
        await on(
          lab,
          "h1",
          "curl -sf -m 5 --retry 30 --retry-delay 1 --retry-connrefused http://127.0.0.1:8099/",
        );
        await until("doctor knows which port, where and why", async () => {
          const { code, stdout } = await lab.try("h1", "doctor", "ingress");
          return code === 1 && /h1 .*ok/.test(stdout) &&
            /h2 8099\/tcp \(other\): port 8099\/tcp .* in use by busybox/.test(stdout) &&
            /h3 8082\/tcp \(near\): no task of near runs on this node/.test(stdout);
        });
        await lab.fleet("h1", "service", "rm", "other", "near");
      },
    );

    await t.step("a port that nobody publishes any more is closed", async () => {
      await lab.fleet("h1", "service", "rm", "web");
      await until(
        "closed",
        async () =>
          (await lab.host("h2").exec(["curl", "-s", "-m", "2", "http://127.0.0.1:8080/"])).code !==
            0,
      );
    });

    await t.step("nodes that leave keep no rule and no device", async () => {
      const left = (name: string) =>
        lab.host(name).exec([
          ...["sh", "-c"],
          "nft list tables | grep fleet; ip -o link | grep ' fl'; iptables -S DOCKER-USER | grep fl-",
        ]);
      for (const { name } of lab.lab.hosts) {
        assert.match((await left(name)).stdout, /inet fleet[^]*DOCKER-USER -i fl-/);
      }
      for (const { name } of [...lab.lab.hosts].reverse()) {
        await lab.fleet(name, "leave", "--force");
      }
      for (const { name } of lab.lab.hosts) {
        await until(
          `nothing is left on ${name}`,
          async () => (await left(name)).stdout === "",
          60_000,
        );
      }
    });
  });
});
