/** install.sh on a machine that has Debian's base system and nothing else. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import type { Output } from "../../src/adapters/lab_hosts/process.ts";
import { layOutRelease } from "../../scripts/release.ts";
import { fromRoot } from "../../scripts/run.ts";
import { DebianMachine } from "../support/debian_machine.ts";
import { BINARY } from "../support/fleet_lab.ts";

const ARCH = Deno.build.arch;
/** Does as fleet does when asked for its version, and nothing more: what counts here is the script. */
const standIn = (version: string) =>
  `#!/bin/sh
case $1 in
  --version) echo "fleet version ${version}, a stand-in" ;;
  completion) echo "complete fleet" ;;
  man) echo page >"$3/fleet.1" ;;
  *) exit 1 ;;
esac
`;

interface Site {
  readonly url: string;
  readonly folder: string;
  /** Files that break off after this many bytes. */
  readonly broken: Map<string, number>;
}

async function withSite(run: (site: Site) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-releases-" });
  const broken = new Map<string, number>();
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
    },
    async (request) => {
      const { pathname } = new URL(request.url);
      const bytes = await Deno.readFile(folder + pathname).catch(() => undefined);
      if (!bytes) return new Response("not found", { status: 404 });
      const cut = broken.get(pathname);
      if (cut === undefined) return new Response(bytes);
      const body = new ReadableStream({
        start: (controller) => {
          controller.enqueue(bytes.subarray(0, cut));
          controller.error(new Error("the cable was pulled"));
        },
      });
      return new Response(body, { headers: { "content-length": `${bytes.length}` } });
    },
  );
  try {
    await run({ url: `http://127.0.0.1:${server.addr.port}`, folder, broken });
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

async function release(site: Site, version: string, more: object = {}): Promise<void> {
  const executable = await Deno.makeTempFile();
  await Deno.writeTextFile(executable, standIn(version));
  await layOutRelease({
    output: site.folder,
    releases: site.url,
    version,
    executables: { [ARCH]: executable },
    ...more,
  });
  await Deno.remove(executable);
}

function succeeded(output: Output): string {
  assert.equal(output.code, 0, `${output.stdout}${output.stderr}`);
  return output.stdout;
}

function failed(output: Output, sentence: RegExp, code = 1): void {
  assert.equal(output.code, code, `${output.stdout}${output.stderr}`);
  assert.match(output.stderr, sentence);
}

/** What a newcomer pastes. */
const paste = (site: Site, flags = "") => {
  const line = `curl -fsSL ${site.url}/channels/install.sh | sh`;
  return flags === "" ? line : `${line} -s -- ${flags}`;
};

Deno.test("install.sh is plain POSIX sh", async () => {
  const { code, stdout } = await capture(["shellcheck", "--shell=sh", fromRoot("install.sh")]);
  assert.equal(code, 0, stdout);
});

Deno.test("install.sh on a base system", async (t) => {
  const machine = await DebianMachine.create();
  try {
    await withSite(async (site) => {
      await release(site, "1.0.0");

      await t.step("a dry run says what it would do and does nothing", async () => {
        succeeded(await machine.run("mkdir -p /usr/share/bash-completion/completions"));
        const said = succeeded(await machine.run(paste(site, "--dry-run")));
        for (
          const part of [
            /would run: apt-get install .*ipvsadm/,
            /would install: \/usr\/local/,
            /would write: \S*\/completions\/fleet$/m,
            /would write: \S*\/fleet\.1 /,
          ]
        ) {
          assert.match(said, part);
        }
        assert.match(said, /Nothing was changed\.\n$/);
        const left = await machine.run(
          "ls /usr/local/bin /usr/local/share/man/man1 /usr/share/bash-completion/completions /etc/default; grep fleet /etc/group",
        );
        assert.doesNotMatch(left.stdout, /fleet/);
      });

      await t.step("bad input is refused before anything happens", async () => {
        failed(await machine.run(paste(site, "--chanel beta")), /unknown flag --chanel/, 2);
        failed(await machine.run(paste(site, "--version '1;reboot'")), /is no version/, 2);
        failed(await machine.run(paste(site, "--purge")), /--purge goes with --uninstall/, 2);
        failed(await machine.run(paste(site, "--channel beta")), /has no channel "beta"/);
        failed(await machine.run(paste(site, "--version 9.9.9")), /has no version 9\.9\.9/);
        failed(await machine.run(paste(site, "--from /nowhere")), /\/nowhere does not exist/);
        failed(
          await machine.run(
            `curl -fsSL ${site.url}/channels/install.sh >/i; su nobody -s /bin/sh -c 'sh /i'`,
          ),
          /run it as root/,
        );
      });

      await t.step("a download that is damaged or breaks off leaves nothing", async () => {
        const path = `/v1.0.0/fleet-linux-${ARCH}`;
        const good = await Deno.readTextFile(site.folder + path);
        await Deno.writeTextFile(site.folder + path, `${good}# and more\n`);
        failed(
          await machine.run(paste(site)),
          /fleet-linux-.* is damaged or not what was released/,
        );
        await Deno.writeTextFile(site.folder + path, good);
        site.broken.set(path, 20);
        failed(await machine.run(paste(site)), /could not get /);
        site.broken.clear();
        // The script itself cut at any line runs nothing: its last line starts it.
        const script = await Deno.readTextFile(`${site.folder}/install.sh`);
        for (const share of [0.2, 0.5, 0.8, 0.99]) {
          await Deno.writeTextFile(
            `${site.folder}/cut.sh`,
            script.slice(0, Math.floor(script.length * share)),
          );
          await machine.run(`curl -fsSL ${site.url}/cut.sh | sh`);
        }
        const left = await machine.run(
          "ls -A /usr/local/bin /etc/default /tmp; grep fleet /etc/group",
        );
        assert.doesNotMatch(left.stdout, /fleet|tmp\./);
      });

      await t.step("installs the tools, the group and the executable", async () => {
        const said = succeeded(await machine.run(paste(site)));
        assert.match(said, /Checksum: good\./);
        assert.match(said, /neither systemd nor OpenRC: have your supervisor run/);
        assert.match(said, /fleet init --advertise-addr ADDRESS/);
        const there = await machine.run(
          "fleet --version && command -v ipvsadm && command -v iptables && command -v ip && grep ^fleet: /etc/group && stat -c %a /usr/local/bin/fleet",
        );
        assert.match(
          succeeded(there),
          /1\.0\.0, a stand-in\n.*ipvsadm\n.*iptables\n.*ip\n.*\n755\n$/s,
        );
      });

      await t.step(
        "the second run changes nothing, a new release upgrades and keeps the old",
        async () => {
          assert.match(
            succeeded(await machine.run(paste(site))),
            /Up to date: fleet version 1\.0\.0/,
          );
          await release(site, "1.1.0");
          const said = succeeded(await machine.run(paste(site)));
          assert.match(
            said,
            /Upgraded: fleet version 1\.0\.0, a stand-in -> fleet version 1\.1\.0/,
          );
          const kept = await machine.run("/usr/local/bin/fleet.previous --version");
          assert.match(succeeded(kept), /1\.0\.0/);
          assert.match(
            succeeded(await machine.run(paste(site, "--version v1.0.0"))),
            /1\.1\.0, a stand-in -> fleet version 1\.0\.0/,
          );
        },
      );

      await t.step("without a network: from a file, and from a folder", async () => {
        await Deno.mkdir(machine.path("/media"), { recursive: true });
        await capture(["cp", "-r", site.folder, machine.path("/media/mirror")]);
        const script = "sh /media/mirror/install.sh --from";
        assert.match(succeeded(await machine.run(`${script} /media/mirror`)), /1\.1\.0/);
        const file = `/media/mirror/v1.0.0/fleet-linux-${ARCH}`;
        const unchecked = await machine.run(`${script} ${file}`);
        assert.match(succeeded(unchecked), /Upgraded/);
        assert.match(unchecked.stderr, /there is no .*sha256 to check it with/);
        const wrong = `echo '${
          "0".repeat(64)
        }  fleet-linux-${ARCH}' > ${file}.sha256; ${script} ${file}`;
        failed(await machine.run(wrong), /damaged or not what was released/);
      });

      await t.step("a signature is checked where the script knows the key", async () => {
        const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
        const keys = {
          key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
          publicKey: publicKey.export({ type: "spki", format: "pem" }) as string,
        };
        await release(site, "1.2.0", keys);
        succeeded(await machine.run("apt-get install -y -qq --no-install-recommends openssl"));
        assert.match(succeeded(await machine.run(paste(site))), /Signature of the release: good\./);
        const sums = `${site.folder}/v1.2.0/SHA256SUMS`;
        const list = await Deno.readTextFile(sums);
        await Deno.writeTextFile(sums, `${list}${"0".repeat(64)}  another\n`);
        failed(
          await machine.run(paste(site)),
          /signature of the checksums is not the release key's/,
        );
        await Deno.writeTextFile(sums, list);
        await Deno.remove(`${sums}.sig`);
        failed(await machine.run(paste(site)), /the checksums are not signed/);
      });

      const mirror = "sh /media/mirror/install.sh --from /media/mirror --version 1.1.0 --no-start";
      await t.step("interrupted half-way it takes back what it has put there", async () => {
        // A service manager in whose middle somebody presses Ctrl-C, or that does not work.
        const bin = machine.path("/usr/local/bin");
        const systemctl = (then: string) =>
          Deno.writeTextFile(
            `${bin}/systemctl`,
            `#!/bin/sh\n[ "$1" = daemon-reload ] || exit 0\n${then}\n`,
            { mode: 0o755 },
          );
        const script = `mkdir -p /run/systemd/system; ${mirror}`;
        const look = "cd /; ls usr/local/bin etc/systemd/system etc/default; fleet --version; true";
        const before = succeeded(await machine.run(look));
        await systemctl("kill -INT $PPID");
        const interrupted = await machine.run(script);
        assert.equal(interrupted.code, 130, interrupted.stdout + interrupted.stderr);
        await Deno.remove(`${bin}/systemctl`);
        assert.equal(
          succeeded(await machine.run(look)).replace("fleet.previous\n", ""),
          before.replace("fleet.previous\n", ""),
        );
        succeeded(await machine.run(paste(site, "--uninstall --purge")));
        const nothing = succeeded(await machine.run(look));
        assert.doesNotMatch(nothing, /fleet/);
        await systemctl("exit 1");
        failed(await machine.run(script), /Nothing of an earlier installation was removed/);
        await Deno.remove(`${bin}/systemctl`);
        assert.equal(succeeded(await machine.run(look)), nothing);
        const groups = await Deno.readTextFile(machine.path("/etc/group"));
        assert.doesNotMatch(groups, /^fleet:/m);
      });

      await t.step("a folder for temporary files in which nothing may be run", async () => {
        const said = await machine.run(`mount -t tmpfs -o noexec tmpfs /tmp; ${mirror}`);
        assert.match(succeeded(said), /Installed: fleet version 1\.1\.0/);
        const left = await machine.run("ls -A /usr/local/bin");
        assert.doesNotMatch(left.stdout, /\.fleet/);
      });

      await t.step("the service files are those of the service manager", async () => {
        // A service manager that only takes notes; the real one is met in the virtual machine.
        const note = '#!/bin/sh\necho "$0 $*" >> /notes\n';
        for (const name of ["systemctl", "rc-service", "rc-update"]) {
          await Deno.writeTextFile(machine.path(`/usr/local/bin/${name}`), note, { mode: 0o755 });
        }
        const file = `/media/mirror/v1.1.0/fleet-linux-${ARCH}`;
        const script = `sh /media/mirror/install.sh --from ${file} --no-start`;
        succeeded(await machine.run(`mkdir -p /run/systemd/system; ${script}`));
        const unit = await Deno.readTextFile(machine.path("/etc/systemd/system/fleet.service"));
        assert.match(unit, /^ExecStart=\/usr\/local\/bin\/fleet agent$/m);
        succeeded(await machine.run(script));
        const openrc = await Deno.readTextFile(machine.path("/etc/init.d/fleet"));
        assert.match(openrc, /^supervisor=supervise-daemon$/m);
        assert.match(succeeded(await machine.run("cat /notes")), /systemctl daemon-reload/);
        assert.doesNotMatch(succeeded(await machine.run("cat /notes")), /enable|restart/);
      });

      await t.step("uninstalls, keeps the data, and purges when told", async () => {
        succeeded(
          await machine.run("mkdir -p /var/lib/fleet && echo keep > /var/lib/fleet/raft.db"),
        );
        for (const flags of ["--uninstall --dry-run", "--uninstall --purge --dry-run"]) {
          // Left by an agent that is no more: no process has such a number.
          const stale = "echo 4194305 >/var/lib/fleet/lock; ";
          const would = await machine.run(stale + paste(site, flags));
          assert.match(succeeded(would), /would run: rm -f .*\nNothing was changed\.\n$/s);
          assert.doesNotMatch(would.stdout, /are gone|is removed/);
          assert.equal(would.stderr, "");
        }
        succeeded(await machine.run("rm /var/lib/fleet/lock; cat /usr/local/bin/fleet"));
        const said = succeeded(await machine.run(paste(site, "--uninstall")));
        assert.match(said, /its data is kept in \/var\/lib\/fleet/);
        const left = await machine.run(
          "ls /usr/local/bin /usr/share/bash-completion/completions /usr/local/share/man/man1 /etc/init.d /etc/systemd/system; cat /var/lib/fleet/raft.db",
        );
        assert.doesNotMatch(left.stdout, /fleet/);
        assert.match(left.stdout, /keep/);
        succeeded(await machine.run(paste(site, "--uninstall --purge")));
        const gone = await machine.run("ls /var/lib /etc/default; grep fleet /etc/group");
        assert.doesNotMatch(gone.stdout, /fleet/);
        const again = await machine.run(paste(site, "--uninstall"));
        assert.match(succeeded(again), /fleet is not installed here/);
      });

      await t.step("the real executable runs on the base system", async () => {
        await Deno.copyFile(BINARY, machine.path("/media/fleet"));
        const said = succeeded(
          await machine.run(
            "sh /media/mirror/install.sh --from /media/fleet --no-start && fleet --help",
          ),
        );
        assert.match(said, /Installed: fleet version 0\.\d+\.\d+, commit/);
        assert.match(said, /Run services on a cluster of Docker hosts/);
      });
    });
  } finally {
    await machine.remove();
  }
});
