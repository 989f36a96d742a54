import { dirname } from "node:path";
import { FleetError } from "../../base/errors.ts";
import { PeerUsers } from "./peer_user.ts";

const GROUP = "fleet";

/**
 * Listens on a unix socket that only root and the group `fleet` (where it exists) may use; whoever can
 * use it is root on the cluster's machines. `serve` is told who connected. A socket file without a listener is replaced.
 * @throws FleetError conflict when somebody listens already
 */
export async function serveUnixSocket(
  path: string,
  serve: (connection: Deno.UnixConn, user: string) => Promise<void>,
): Promise<{ close(): void }> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (await someoneListens(path)) {
    throw new FleetError(
      "conflict",
      `${path} is in use by another fleet agent; stop it, or choose another --socket`,
    );
  }
  await Deno.remove(path).catch(() => {});
  const listener = listenForNobody(path);
  const group = groupId(GROUP);
  if (group !== undefined && Deno.uid() === 0) await Deno.chown(path, 0, group);
  await Deno.chmod(path, group === undefined ? 0o600 : 0o660);
  const users = new PeerUsers(path);
  const connections = new Set<Deno.UnixConn>();
  void (async () => {
    for await (const connection of listener) {
      connections.add(connection);
      serve(connection, users.whoConnected()).catch(() => {}).finally(() =>
        connections.delete(connection)
      );
    }
  })().catch(() => {});
  return {
    close: () => {
      listener.close();
      users.close();
      for (const connection of connections) {
        try {
          connection.close();
        } catch {
          // Closed by its own end.
        }
      }
      try {
        Deno.removeSync(path);
      } catch {
        // Somebody was quicker.
      }
    },
  };
}

/** A socket that nobody else can use yet: between its making and a change of its mode anybody could connect. */
function listenForNobody(path: string): Deno.UnixListener {
  const before = Deno.umask(0o177);
  try {
    return Deno.listen({ transport: "unix", path });
  } finally {
    Deno.umask(before);
  }
}

async function someoneListens(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch {
    return false;
  }
}

function groupId(name: string): number | undefined {
  try {
    const line = Deno.readTextFileSync("/etc/group").split("\n").find((entry) =>
      entry.startsWith(`${name}:`)
    );
    return line === undefined ? undefined : Number(line.split(":")[2]);
  } catch {
    return undefined;
  }
}
