/** `struct sockaddr_un` of Linux: two bytes of family, then the path. */
const ADDRESS_BYTES = 112;
const AF_UNIX = 1;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** Names of users are looked up once. */
const MAX_NAMES = 256;

const decoder = new TextDecoder();

/**
 * Tells who connects to a unix socket, by the kernel's word (SO_PEERCRED in unix(7)). Deno keeps a
 * connection's descriptor to itself, so it is found as the one that is new among this process's: `whoConnected`
 * has to be called at once for every accepted connection, before the next one is accepted.
 */
export class PeerUsers {
  readonly #path: string;
  readonly #libc = openLibc();
  readonly #names = new Map<number, string>();
  /** Inodes of the connections that were there at the last look. */
  #known = new Set<string>();

  constructor(path: string) {
    this.#path = path;
    this.whoConnected();
  }

  /** `root (uid 0)`; `somebody on the socket` where the kernel cannot be asked. */
  whoConnected(): string {
    const fresh: number[] = [];
    const present = new Set<string>();
    for (const fd of this.#descriptors()) {
      const inode = readLink(`/proc/self/fd/${fd}`);
      if (inode === undefined) continue;
      present.add(inode);
      if (!this.#known.has(inode)) fresh.push(fd);
    }
    this.#known = present;
    const uid = fresh.length === 1 ? this.#uid(fresh[0]!) : undefined;
    return uid === undefined ? "somebody on the socket" : `${this.#name(uid)} (uid ${uid})`;
  }

  close(): void {
    this.#libc?.close();
  }

  /** Descriptors of this process that belong to the socket. */
  *#descriptors(): Iterable<number> {
    if (!this.#libc) return;
    const address = new Uint8Array(ADDRESS_BYTES);
    const length = new Uint32Array(1);
    for (const { name } of Deno.readDirSync("/proc/self/fd")) {
      length[0] = ADDRESS_BYTES;
      if (this.#libc.symbols.getsockname(Number(name), address, length) !== 0) continue;
      if (address[0] !== AF_UNIX) continue;
      const path = decoder.decode(address.subarray(2, length[0])).split("\0", 1)[0];
      if (path === this.#path) yield Number(name);
    }
  }

  #uid(fd: number): number | undefined {
    // struct ucred: pid, uid, gid.
    const credentials = new Uint32Array(3);
    const length = new Uint32Array([credentials.byteLength]);
    const code = this.#libc?.symbols.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length);
    return code === 0 ? credentials[1] : undefined;
  }

  #name(uid: number): string {
    const known = this.#names.get(uid);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_NAMES) this.#names.clear();
    const name = userName(uid) ?? "unknown user";
    this.#names.set(uid, name);
    return name;
  }
}

function openLibc() {
  try {
    return Deno.dlopen("libc.so.6", {
      getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
      getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
    });
  } catch {
    // Another libc: users stay unnamed.
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}

function userName(uid: number): string | undefined {
  try {
    for (const line of Deno.readTextFileSync("/etc/passwd").split("\n")) {
      const [name, , id] = line.split(":");
      if (name && Number(id) === uid && id !== "") return name;
    }
  } catch {
    // No such file: numbers are names enough.
  }
  return undefined;
}
