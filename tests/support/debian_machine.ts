import { capture } from "../../src/adapters/lab_hosts/process.ts";
import type { Output } from "../../src/adapters/lab_hosts/process.ts";
import { fromRoot } from "../../scripts/run.ts";

/** Kept between runs; made by debootstrap in about half a minute. */
const BASE = fromRoot("dist/cache/debian-bookworm");
const DEBOOTSTRAP_TIMEOUT_MS = 300_000;
const COMMAND_TIMEOUT_MS = 180_000;
const ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LC_ALL: "C",
};

/**
 * A machine with nothing but Debian's base system: a chroot over a debootstrap tree, whose changes go
 * into a folder of its own. Processes end with the command that started them.
 */
export class DebianMachine {
  private constructor(readonly folder: string) {}

  static async create(): Promise<DebianMachine> {
    await debootstrap();
    const folder = await Deno.makeTempDir({ dir: fromRoot("dist"), prefix: "machine-" });
    for (const part of ["upper", "work", "root"]) await Deno.mkdir(`${folder}/${part}`);
    return new DebianMachine(folder);
  }

  /** Runs a shell script in the machine; never throws. */
  async run(script: string, env: Readonly<Record<string, string>> = {}): Promise<Output> {
    return await capture(this.#argv(), {
      env: { ...ENVIRONMENT, SCRIPT: script, ...env },
      clearEnv: true,
      timeoutMs: COMMAND_TIMEOUT_MS,
    });
  }

  /**
   * Runs a shell script in the machine until the returned process is killed, in another network and beside an engine
   * that is reached by its socket.
   */
  start(
    script: string,
    place: { readonly namespace: string; readonly name: string; readonly engineSocket: string },
  ): Deno.ChildProcess {
    const [command, ...args] = this.#argv(place);
    return new Deno.Command(command!, {
      args,
      env: { ...ENVIRONMENT, SCRIPT: script },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  #argv(place?: { namespace: string; name: string; engineSocket: string }): string[] {
    const { folder } = this;
    const there = place && `mount -t sysfs sysfs ${folder}/root/sys
      touch ${folder}/root/run/docker.sock
      mount --bind ${place.engineSocket} ${folder}/root/run/docker.sock
      printf '%s' ${place.name} >/proc/sys/kernel/hostname
      echo 127.0.0.1 localhost ${place.name} >${folder}/root/etc/hosts
      echo nameserver 127.0.0.1 >${folder}/root/etc/resolv.conf`;
    // In a mount and pid namespace of its own: nothing is left when it ends, whatever it did.
    const enter = `set -e
      mount --make-rprivate /
      mount -t overlay overlay -o lowerdir=${BASE},upperdir=${folder}/upper,workdir=${folder}/work ${folder}/root
      mount -t proc proc ${folder}/root/proc
      mount -t tmpfs tmpfs ${folder}/root/run
      mount --rbind /dev ${folder}/root/dev
      ${there ?? `cat /etc/resolv.conf > ${folder}/root/etc/resolv.conf`}
      exec chroot ${folder}/root /bin/sh -c "$SCRIPT"`;
    return [
      ...(place ? ["nsenter", `--net=/run/netns/${place.namespace}`] : []),
      ...["unshare", "--mount", "--pid", ...(place ? ["--uts"] : []), "--fork", "--kill-child"],
      ...["/bin/sh", "-c", enter],
    ];
  }

  /** A path inside the machine, as seen from outside: only what the machine changed. */
  path(inside: string): string {
    return `${this.folder}/upper${inside}`;
  }

  async remove(): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function debootstrap(): Promise<void> {
  const complete = `${BASE}.complete`;
  if (await Deno.stat(complete).then(() => true, () => false)) return;
  await Deno.remove(BASE, { recursive: true }).catch(() => {});
  await Deno.mkdir(BASE, { recursive: true });
  const made = await capture(
    ["debootstrap", "--variant=minbase", "--include=ca-certificates,curl", "bookworm", BASE],
    { timeoutMs: DEBOOTSTRAP_TIMEOUT_MS },
  );
  if (made.code !== 0) {
    throw new Error(`debootstrap failed: ${made.stdout.slice(-500)}${made.stderr}`);
  }
  await Deno.writeTextFile(complete, "");
}
