import assert from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import { parseIpvs } from "../../core/network/ipvs.ts";
import { IpvsHost, ipvsSettings } from "./ipvs_host.ts";

/**
 * An `ipvsadm` whose kernel is a file of lines as `-Sn` prints them: it stops at the first line that it
 * cannot do, as the real one does, and at line FAIL_AT of its next input, once.
 */
const FAKE = `#!/bin/sh
state=$(dirname "$0")/state
[ -e "$(dirname "$0")/no-module" ] && { echo "Can't initialize ipvs: Protocol not available" >&2; exit 2; }
touch "$state"
case $1 in
-Sn) cat "$state" ;;
-l) echo "Timeout (tcp tcpfin udp): $(cat "$(dirname "$0")/timeouts")" ;;
--set) echo "$2 120 300" >"$(dirname "$0")/timeouts" ;;
-R)
  n=0
  while read -r line; do
    n=$((n + 1))
    if [ -e "$(dirname "$0")/fail-at-$n" ]; then
      rm "$(dirname "$0")/fail-at-$n"; echo "Memory allocation problem" >&2; exit 255
    fi
    set -- $line
    case $1 in
    -A|-a) if grep -q -- "^$1 $2 $3\${5:+ $4 $5}" "$state"; then echo exists >&2; exit 1; fi; echo "$line" >>"$state" ;;
    -D) grep -v -- " -f $3 " "$state" >"$state.new"; mv "$state.new" "$state" ;;
    -d) grep -v -- "^-a -f $3 -r $5 " "$state" >"$state.new"; mv "$state.new" "$state" ;;
    -e) grep -v -- "^-a -f $3 -r $5 " "$state" >"$state.new"; echo "-a\${line#-e}" >>"$state.new"; mv "$state.new" "$state" ;;
    esac
  done ;;
esac
`;
const MARK = 0x7000_1f90;
const FOREIGN = "-A -t 192.0.2.1:80 -s wlc\n-A -f 7 -s rr\n";
const service = (...addresses: string[]) =>
  parseIpvs(
    `-A -f ${MARK} -s rr\n` +
      addresses.map((address) => `-a -f ${MARK} -r ${address}:80 -m -w 1\n`).join(""),
  );
const signal = AbortSignal.timeout(60_000);

async function withFake(
  run: (folder: string, host: (backend: "auto" | "ipvs" | "nftables") => IpvsHost) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-ipvsadm-" });
  const path = Deno.env.get("PATH")!;
  try {
    await Deno.mkdir(`${folder}/settings`);
    for (const name of ["conntrack", "expire_nodest_conn", "conn_reuse_mode"]) {
      await Deno.writeTextFile(`${folder}/settings/${name}`, "0\n");
    }
    await Deno.writeTextFile(`${folder}/timeouts`, "900 120 300\n");
    await Deno.writeTextFile(`${folder}/ipvsadm`, FAKE, { mode: 0o755 });
    Deno.env.set("PATH", `${folder}:${path}`);
    await run(
      folder,
      (backend) => new IpvsHost({ backend, logger: silentLogger, settings: `${folder}/settings` }),
    );
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("ipvsadm: what fails half-way is looked at and continued; others' services stay", async () => {
  await withFake(async (folder, host) => {
    await Deno.writeTextFile(`${folder}/state`, FOREIGN);
    await Deno.writeTextFile(`${folder}/fail-at-3`, "");
    const ipvs = host("ipvs");
    assert.equal((await ipvs.observe(signal))?.length, 1);
    assert.equal(await Deno.readTextFile(`${folder}/settings/conntrack`), "1");
    await ipvs.apply(service("10.0.0.2", "10.0.0.3", "10.0.0.4"), signal);
    const state = await Deno.readTextFile(`${folder}/state`);
    assert(state.startsWith(FOREIGN));
    assert.equal(state.match(/^-a/gm)?.length, 3);
    await ipvs.apply([], signal);
    assert.equal(await Deno.readTextFile(`${folder}/state`), FOREIGN);
  });
});

Deno.test("ipvsadm: idle connections are kept for days; a time that somebody else chose stays", async () => {
  for (const [before, after] of [["900", "432000"], ["600", "600"], ["999999", "999999"]]) {
    await withFake(async (folder, host) => {
      await Deno.writeTextFile(`${folder}/timeouts`, `${before} 120 300\n`);
      await host("ipvs").observe(signal);
      assert.equal(await Deno.readTextFile(`${folder}/timeouts`), `${after} 120 300\n`);
    });
  }
});

Deno.test("IPVS: clients that use a port again wait for nothing, on old kernels either", () => {
  const releases = [
    "4.19.0-27-amd64",
    "5.4.0-200-generic",
    "5.8.1",
    "5.9.0",
    "5.10.0-30",
    "6.1.0-18",
  ];
  assert.deepEqual(
    releases.map((release) => ipvsSettings(release).conn_reuse_mode),
    ["0", "0", "0", "1", "1", "1"],
  );
});

Deno.test("ipvsadm: a tool that goes on failing is an error with its reason", async () => {
  await withFake(async (folder, host) => {
    const ipvs = host("ipvs");
    await Deno.remove(`${folder}/ipvsadm`);
    await Deno.writeTextFile(
      `${folder}/ipvsadm`,
      "#!/bin/sh\n[ $1 = -Sn ] || { echo 'Memory allocation problem' >&2; exit 255; }\n",
      { mode: 0o755 },
    );
    await assert.rejects(
      ipvs.apply(service("10.0.0.2"), signal),
      /ipvsadm -R: Memory allocation problem/,
    );
  });
});

Deno.test("ipvsadm: without the module a forced backend names it, and the automatic one is nftables", async () => {
  await withFake(async (folder, host) => {
    await Deno.writeTextFile(`${folder}/no-module`, "");
    await assert.rejects(host("ipvs").observe(signal), /modprobe -a ip_vs ip_vs_rr/);
    assert.equal(await host("auto").observe(signal), undefined);
    await Deno.remove(`${folder}/no-module`);
    assert.deepEqual(await host("auto").observe(signal), []);
  });
});

Deno.test("ipvsadm: a missing tool is named with its package", async () => {
  await withFake(async (folder, host) => {
    Deno.env.set("PATH", `${folder}/settings`);
    await assert.rejects(host("ipvs").observe(signal), /install the package ipvsadm/);
    assert.equal(await host("auto").observe(signal), undefined);
  });
});
