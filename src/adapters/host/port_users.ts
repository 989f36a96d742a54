import { parseSockets } from "./connections.ts";

/** A port of this machine and its protocol. */
export interface UsedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
}

const LISTEN = 0x0a;
/** A UDP socket without a peer. */
const BOUND = 0x07;
/** Processes looked through for the owner of a socket. */
const MAX_PROCESSES = 50_000;

/**
 * Who listens at these ports on this machine, as `name (pid 7)`, by `protocol/port`; ports that nobody
 * listens at are left out. Of the process `own` only what listens for TCP counts (its dashboard, its API),
 * and not what `isMesh` says to be the mesh's own. SCTP is not looked at: the kernel lists it elsewhere.
 */
export async function portUsers(
  ports: readonly UsedPort[],
  isMesh: (port: number) => boolean = () => false,
  own: number = Deno.pid,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const protocol of ["tcp", "udp"] as const) {
    const wanted = new Set(ports.filter((p) => p.protocol === protocol).map(({ port }) => port));
    if (wanted.size === 0) continue;
    const texts = await Promise.all(
      [protocol, `${protocol}6`].map((name) =>
        Deno.readTextFile(`/proc/self/net/${name}`).catch(() => "")
      ),
    );
    const state = protocol === "tcp" ? LISTEN : BOUND;
    const inodes = new Map<string, number>();
    for (const { port, state: is, inode } of texts.flatMap(parseSockets)) {
      if (is === state && wanted.has(port)) inodes.set(inode, port);
    }
    if (inodes.size === 0) continue;
    const owners = await ownersOf(new Set(inodes.keys()));
    for (const [inode, port] of inodes) {
      const isOwn = owners.get(inode)?.endsWith(`(pid ${own})`);
      if (isOwn && (protocol === "udp" || isMesh(port))) continue;
      found.set(
        `${protocol}/${port}`,
        isOwn ? "fleet itself" : owners.get(inode) ?? "another program",
      );
    }
  }
  return found;
}

/** Processes by the sockets that they hold open. */
async function ownersOf(inodes: ReadonlySet<string>): Promise<Map<string, string>> {
  const owners = new Map<string, string>();
  let looked = 0;
  for await (const { name: pid } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    if (owners.size === inodes.size || ++looked > MAX_PROCESSES) break;
    try {
      for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
        const link = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
        const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
        if (inode === undefined || !inodes.has(inode)) continue;
        const command = (await Deno.readTextFile(`/proc/${pid}/comm`)).trim();
        owners.set(inode, `${command.replace(/[^\w.:/@+-]/g, "?")} (pid ${pid})`);
      }
    } catch {
      // It has ended, or is not ours to look at.
    }
  }
  return owners;
}
