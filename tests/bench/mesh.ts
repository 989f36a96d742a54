import { must, until } from "../../src/adapters/lab_hosts/process.ts";
import { nftPatch } from "../../src/core/network/nft_patch.ts";
import { nftRuleset } from "../../src/core/network/nft_ruleset.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { SERVICES, TASKS, thousandServices } from "../support/thousand_services.ts";
import { median, printTable, timed } from "./figures.ts";
import { parseWrk } from "./wrk.ts";
import type { Measured } from "./wrk.ts";

const SECONDS = 4;
const ROUNDS = 3;
const IMAGE = "nginx:bench";
const CONFIG = (listen: string) =>
  `user root; daemon off; worker_processes 1; error_log /dev/null; pid /tmp/pid; events { worker_connections 1024; } http { access_log off; server { listen ${listen}; location / { return 200 "ok\\n"; } } }`;
const PACK = `set -e
root=$(mktemp -d)
mkdir -p "$root/bin" "$root/etc/nginx" "$root/tmp" "$root/dev" "$root/var/log/nginx" "$root/var/lib/nginx"
cp "$(command -v nginx)" "$root/bin/nginx"
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
for library in $(ldd "$(command -v nginx)" | grep -o '/[^ ]*'); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
tar -C "$root" -cf "$1" .
rm -r "$root"`;

/**
 * Requests through the mesh, each on a connection of its own, beside the same server without any
 * translation and behind a port that the engine publishes; then the rules of a thousand services.
 */
export async function run(): Promise<void> {
  await rules();
  await requests();
}

async function requests(): Promise<void> {
  const lab = await FleetLab.up("bench", 3);
  try {
    await lab.form();
    const file = await Deno.makeTempFile({ suffix: ".tar" });
    await must(["sh", "-c", PACK, "sh", file]);
    for (const host of lab.lab.hosts) await host.docker(["import", file, IMAGE]);
    await Deno.remove(file);
    const server = (listen: string | number) => [
      ...[IMAGE, "sh", "-c", `echo '${CONFIG(`${listen}`)}' >/c; nginx -c /c`],
    ];
    const h1 = lab.host("h1");
    await h1.docker(["run", "-d", "--network", "host", ...server(8091)]);
    await h1.docker(["run", "-d", "-p", "8090:80", ...server(80)]);
    await lab.docker(
      "h1",
      ...["service", "create", "--detach", "--no-resolve-image", "--name", "web"],
      ...["--constraint", "node.hostname==h1", "--publish", "8080:80", ...server(80)],
    );
    await lab.converged("web", 1);
    await lab.fleet(
      "h1",
      ...["service", "create", "--detach", "--no-resolve-image", "--name", "told"],
      ...["--constraint", "node.hostname==h1", "--publish"],
      ...["published=8081,target=80,source=proxy", ...server("80 proxy_protocol")],
    );
    await lab.converged("told", 1);
    const ways: [string, string][] = [
      ["the server alone, on the host's network", `${h1.address}:8091`],
      ["port published by the engine", `${h1.address}:8090`],
      ["mesh, the node asked runs the task", `${h1.address}:8080`],
      ["mesh, another node runs the task", `${lab.host("h2").address}:8080`],
      ["source=proxy, by the agent; the node asked runs the task", `${h1.address}:8081`],
    ];
    for (const [, target] of ways) {
      await until(
        target,
        async () =>
          (await lab.host("h3").exec(["curl", "-s", "-m", "2", `http://${target}/`])).stdout ===
            "ok\n",
      );
    }
    const found = ways.map((): Measured[] => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, [, target]] of ways.entries()) found[i]!.push(await load(lab, target));
    }
    const limit = median(found[0]!.map(({ rate }) => rate));
    printTable([
      ["requests, each on its own connection", "per second", "p99", "of the limit"],
      ...ways.map(([name], i) => {
        const rate = median(found[i]!.map((one) => one.rate));
        const p99 = median(found[i]!.map((one) => one.p99));
        return [name, rate.toFixed(0), `${p99.toFixed(1)} ms`, (rate / limit).toFixed(2)];
      }),
    ]);
  } finally {
    await lab.down();
  }
}

async function load(lab: FleetLab, target: string): Promise<Measured> {
  const { stdout, stderr } = await lab.host("h3").exec([
    ...["wrk", "-t", "2", "-c", "16", "-d", `${SECONDS}s`, "--latency", "-H", "Connection: close"],
    `http://${target}/`,
  ], { timeoutMs: 60_000 });
  return parseWrk(stdout, stderr);
}

/** `nft` in a network namespace that is there for this only. */
async function rules(): Promise<void> {
  const name = `fleet-bench-${Deno.pid}`;
  await must(["ip", "netns", "add", name]);
  const nft = (script: string) =>
    must(["ip", "netns", "exec", name, "nft", "-f", "-"], { stdin: script });
  try {
    const all: number[] = [];
    const one: number[] = [];
    const deciding: number[] = [];
    let script = "";
    for (let round = 0; round < 5; round++) {
      let next = "";
      deciding.push(await timed(async () => next = nftRuleset(thousandServices(round * 37))));
      all.push(await timed(() => nft(next)));
      script = next;
      const patch = nftPatch(script, nftRuleset(thousandServices(round * 37 + 1)));
      one.push(await timed(() => nft(patch)));
    }
    printTable([
      [`${SERVICES} services with ${TASKS} tasks, nftables`, "median"],
      ["rules and chains in the script", `${script.split("\n").length} lines`],
      ["deciding what shall be", `${median(deciding).toFixed(0)} ms`],
      ["putting all of it in force", `${median(all).toFixed(0)} ms`],
      ["putting one changed task in force", `${median(one).toFixed(0)} ms`],
    ]);
  } finally {
    await must(["ip", "netns", "del", name]);
  }
}
