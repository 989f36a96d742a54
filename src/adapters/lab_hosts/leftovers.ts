import type { HostLayout } from "./layout.ts";
import { capture, isAlive, signalPid, until } from "./process.ts";

const CGROUPS = "/sys/fs/cgroup";
/** Rounds of killing: a process may fork between the look and the signal. */
const MAX_ROUNDS = 50;

/**
 * Every process of a host, found by what it is in and not by what it is called: the host's network
 * namespace (daemons, shims, host-network containers) and its cgroups (containers).
 */
export async function processesOf(host: HostLayout): Promise<number[]> {
  const found = new Set<number>();
  const inode = await namespaceInode(`/run/netns/${host.namespace}`);
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || inode === undefined) continue;
    const link = await Deno.readLink(`/proc/${name}/ns/net`).catch(() => "");
    if (link === `net:[${inode}]`) found.add(Number(name));
  }
  for (const folder of await cgroupFolders(host.cgroup)) {
    const text = await Deno.readTextFile(`${folder}/cgroup.procs`).catch(() => "");
    for (const pid of text.split("\n")) if (pid !== "") found.add(Number(pid));
  }
  found.delete(Deno.pid);
  return [...found].filter(isAlive).sort((a, b) => a - b);
}

async function namespaceInode(path: string): Promise<number | undefined> {
  const { code, stdout } = await capture(["stat", "-L", "-c", "%i", path]);
  return code === 0 ? Number(stdout) : undefined;
}

/** Kills until nothing is left. @throws FleetError timeout when something cannot be killed */
export async function killAll(find: () => Promise<number[]>): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const pids = await find();
    if (pids.length === 0) return;
    for (const pid of pids) signalPid(pid, "SIGKILL");
    await until(`end of processes ${pids.join(", ")}`, () => !pids.some(isAlive), 10_000, 10);
  }
}

/** The host's cgroups in every hierarchy, innermost first. */
async function cgroupFolders(cgroup: string): Promise<string[]> {
  const roots = [CGROUPS];
  try {
    for await (const entry of Deno.readDir(CGROUPS)) {
      if (entry.isDirectory) roots.push(`${CGROUPS}/${entry.name}`);
    }
  } catch {
    return [];
  }
  const folders: string[] = [];
  const visit = async (path: string): Promise<void> => {
    const entries = await Array.fromAsync(Deno.readDir(path)).catch(() => undefined);
    if (!entries) return;
    for (const entry of entries) if (entry.isDirectory) await visit(`${path}/${entry.name}`);
    folders.push(path);
  };
  for (const root of roots) await visit(root + cgroup);
  return folders;
}

export async function removeCgroup(cgroup: string): Promise<void> {
  for (const folder of await cgroupFolders(cgroup)) await Deno.remove(folder).catch(() => {});
}
