import { FleetError } from "../../base/errors.ts";
import { labCgroup, labFolder, labId, namespacePrefix, uplinkName } from "./layout.ts";
import { capture, isAlive, signalPid, until } from "./process.ts";

const CGROUPS = "/sys/fs/cgroup";
const NAMESPACES = "/run/netns";
/** Rounds of killing: a process may fork between the look and the signal. */
const MAX_ROUNDS = 50;
/** Which lab a process was started for; only the lab sets it. */
export const LAB_VARIABLE = "FLEET_LAB";

/** Names of the network namespaces of a lab, whether or not its state can still be read. */
export function namespacesOf(id: string): string[] {
  try {
    return [...Deno.readDirSync(NAMESPACES)].map((entry) => entry.name)
      .filter((name) => name.startsWith(namespacePrefix(id))).sort();
  } catch {
    return [];
  }
}

/** What `/proc/PID/ns/net` of a process in the named namespace reads as; undefined when there is none. */
export function namespaceLink(name: string): string | undefined {
  try {
    return `net:[${Deno.statSync(`${NAMESPACES}/${name}`).ino}]`;
  } catch {
    return undefined;
  }
}

/** Pids of this machine whose network namespace is one of `links`. */
export function processesInside(links: ReadonlySet<string>): number[] {
  return pids().filter((pid) => links.has(link(pid, "net")));
}

/** The process that is `inner` inside the pid namespace of the host with this network namespace. */
export function findInner(namespace: string, inner: number): number | undefined {
  const wanted = namespaceLink(namespace);
  if (wanted === undefined) return undefined;
  return pids().find((pid) => link(pid, "net") === wanted && innerPid(pid) === inner);
}

/** A process's pid as it sees it itself, if it is in a pid namespace other than the machine's. */
function innerPid(pid: number): number | undefined {
  const numbers = /^NSpid:\s+(.+)$/m.exec(read(`/proc/${pid}/status`))?.[1]?.split(/\s+/) ?? [];
  return numbers.length > 1 ? Number(numbers.at(-1)) : undefined;
}

/**
 * Every process of a lab, found by what it is in and never by what it is called: its network
 * namespaces, its cgroups, or the variable that marks what the lab itself started.
 */
export function processesOf(name: string): number[] {
  const id = labId(name);
  const links = new Set(namespacesOf(id).map(namespaceLink).filter((l) => l !== undefined));
  if (links.has(link(Deno.pid, "net"))) {
    throw new FleetError("conflict", `this runs inside lab ${name}: leave its host first`);
  }
  const mark = `${LAB_VARIABLE}=${labFolder(name)}`;
  const cgroup = `${labCgroup(id)}/`;
  return pids().filter((pid) =>
    pid !== Deno.pid &&
    (links.has(link(pid, "net")) || read(`/proc/${pid}/cgroup`).includes(cgroup) ||
      read(`/proc/${pid}/environ`).split("\0").includes(mark))
  ).filter(isAlive);
}

/** Processes in a cgroup or below it. */
export function processesInCgroup(cgroup: string): number[] {
  return pids().filter((pid) => read(`/proc/${pid}/cgroup`).includes(`${cgroup}/`)).filter(isAlive);
}

/** Kills until nothing is left. @throws FleetError timeout when something cannot be killed */
export async function killAll(find: () => number[]): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    // One that has ended but was not waited for yet is no reason for another round.
    const found = find().filter(isAlive);
    if (found.length === 0) return;
    for (const pid of found) signalPid(pid, "SIGKILL");
    await until(`end of processes ${found.join(", ")}`, () => !found.some(isAlive), 10_000, 5);
  }
  throw new FleetError("timeout", `processes keep coming back: ${find().join(", ")}`);
}

/** Removes all that a lab may have left, in whichever state its maker died. */
export async function removeEverything(name: string): Promise<void> {
  const id = labId(name);
  await killAll(() => processesOf(name));
  removeCgroup(labCgroup(id));
  await unmountUnder(labFolder(name));
  // The device goes first: the kernel removes a namespace's devices only some time after its name.
  if (await exists(`/sys/class/net/${uplinkName(id)}`)) {
    await capture(["ip", "link", "del", uplinkName(id)]);
  }
  await removeNamespaces(namespacesOf(id));
  await Deno.remove(labFolder(name), { recursive: true }).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

export async function removeNamespaces(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { code, stderr } = await capture(["ip", "netns", "del", name]);
    // A maker that died between the file and the mount leaves a plain file.
    if (code !== 0 && /Invalid argument/.test(stderr)) await Deno.remove(`${NAMESPACES}/${name}`);
  }
}

/** Whether anything of a lab is still there. */
export async function anythingLeft(name: string): Promise<boolean> {
  const id = labId(name);
  return await exists(labFolder(name)) || namespacesOf(id).length > 0 ||
    await exists(`/sys/class/net/${uplinkName(id)}`) || processesOf(name).length > 0;
}

/** Removes a cgroup and those below it from every hierarchy. Those with processes stay. */
export function removeCgroup(cgroup: string): void {
  const visit = (path: string): void => {
    let entries: Deno.DirEntry[];
    try {
      entries = [...Deno.readDirSync(path)];
    } catch {
      return;
    }
    for (const entry of entries) if (entry.isDirectory) visit(`${path}/${entry.name}`);
    removeFolder(path);
  };
  for (const root of cgroupRoots()) {
    visit(root + cgroup);
    // The folder of all labs goes with the last of them.
    removeFolder(root + cgroup.slice(0, cgroup.indexOf("/", 1)));
  }
}

function cgroupRoots(): string[] {
  try {
    const entries = [...Deno.readDirSync(CGROUPS)].filter((entry) => entry.isDirectory);
    return [CGROUPS, ...entries.map((entry) => `${CGROUPS}/${entry.name}`)];
  } catch {
    return [];
  }
}

function removeFolder(path: string): void {
  try {
    Deno.removeSync(path);
  } catch { /* Not there, or not empty. */ }
}

async function unmountUnder(folder: string): Promise<void> {
  const targets = read("/proc/self/mountinfo").split("\n").map((line) => line.split(" ")[4] ?? "")
    .filter((target) => target.startsWith(`${folder}/`));
  for (const target of targets.reverse()) await capture(["umount", "-l", target]);
}

function pids(): number[] {
  return [...Deno.readDirSync("/proc")].filter((entry) => /^\d+$/.test(entry.name))
    .map((entry) => Number(entry.name)).sort((a, b) => a - b);
}

function link(pid: number, namespace: string): string {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/${namespace}`);
  } catch {
    return "";
  }
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
