/** A socket as the kernel lists it in `/proc/net/tcp`. */
interface Socket {
  readonly local: string;
  readonly port: number;
  readonly state: number;
  readonly inode: string;
}

const LISTEN = 0x0a;
/**
 * Established, half open, or closed by one side with data under way (numbers of the kernel's
 * `tcp_states.h`): whoever stops the program now cuts these.
 */
const OPEN: ReadonlySet<number> = new Set([0x01, 0x03, 0x04, 0x08, 0x09]);

/** The lines of `/proc/<pid>/net/tcp` or `tcp6`; addresses stay in the kernel's hexadecimal. */
export function parseSockets(text: string): Socket[] {
  return text.split("\n").slice(1).flatMap((line) => {
    const [, local = "", , state = "", , , , , , inode = ""] = line.trim().split(/\s+/);
    const [address, port] = local.split(":");
    if (address === undefined || port === undefined) return [];
    return [{ local: address, port: parseInt(port, 16), state: parseInt(state, 16), inode }];
  });
}

/** Connections that came from outside: to a port that is listened on, not over the loopback. */
export function countInbound(sockets: readonly Socket[]): number {
  const listened = new Set(sockets.filter(({ state }) => state === LISTEN).map(({ port }) => port));
  return sockets.filter(({ local, port, state }) =>
    OPEN.has(state) && listened.has(port) && !isLoopback(local)
  ).length;
}

/** Connections that others opened to what runs in the network namespace of a process; 0 without it. */
export async function inboundConnections(pid: number): Promise<number> {
  try {
    const [four, six] = await Promise.all([
      Deno.readTextFile(`/proc/${pid}/net/tcp`),
      Deno.readTextFile(`/proc/${pid}/net/tcp6`).catch(() => ""),
    ]);
    return countInbound([...parseSockets(four), ...parseSockets(six)]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    // A process that ends while its file is read: ESRCH, EINVAL.
    if (error instanceof Error && /os error (3|22)\b/.test(error.message)) return 0;
    throw error;
  }
}

/** 127.0.0.0/8, plain or mapped, and ::1, in the kernel's order of bytes. */
function isLoopback(address: string): boolean {
  return /^[0-9A-F]{6}7F$/i.test(address) || /^0{16}FFFF0000[0-9A-F]{6}7F$/i.test(address) ||
    /^0{24}01000000$/.test(address);
}
