import { FleetError } from "../../base/errors.ts";

/** Programs of a lab and the Debian packages that have them. */
const TOOLS: readonly (readonly [program: string, packageName: string])[] = [
  ["dockerd", "docker.io"],
  ["docker", "docker.io or docker-cli"],
  ["iptables", "iptables"],
  ["ip", "iproute2"],
  ["nsenter", "util-linux"],
  ["unshare", "util-linux"],
  ["setsid", "util-linux"],
  ["busybox", "busybox-static"],
];
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** All of a lab is root's: its folders, its namespaces, its sockets. @throws FleetError forbidden */
export function requireRoot(uid = Deno.uid()): void {
  if (uid === 0) return;
  throw new FleetError(
    "forbidden",
    "a lab belongs to root, and so do its sockets: type sudo -s, then this and what follows it",
  );
}

/** @throws FleetError forbidden, or unavailable naming programs and packages */
export async function requireTools(): Promise<void> {
  requireRoot();
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), ...SYSTEM_FOLDERS];
  const missing: string[] = [];
  for (const [program, name] of TOOLS) {
    const found = await Promise.any(
      folders.map((folder) => Deno.stat(`${folder}/${program}`)),
    ).catch(() => undefined);
    if (!found) missing.push(`${program} (Debian package ${name})`);
  }
  if (missing.length > 0) {
    throw new FleetError("unavailable", `a lab needs ${missing.join(", ")}; install it first`);
  }
}
