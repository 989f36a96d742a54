import { networkInterfaces } from "node:os";
import { statfsSync } from "node:fs";

/** Free and whole size of the file system that holds `path`. */
export function disk(
  path: string,
): { readonly path: string; readonly free: number; readonly total: number } {
  const { bavail, blocks, bsize } = statfsSync(path);
  return { path, free: bavail * bsize, total: blocks * bsize };
}

/** Largest packet of the interface that has `address`; 1500 where it cannot be found out. */
export function mtuOf(address: string): number {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (!addresses?.some((found) => found.address === address)) continue;
    try {
      return Number(Deno.readTextFileSync(`/sys/class/net/${name}/mtu`)) || 1500;
    } catch {
      return 1500;
    }
  }
  return 1500;
}

/** What the kernel can do for published ports and overlay networks. */
export function kernelFeatures(): Readonly<Record<string, boolean>> {
  const has = (path: string) => {
    try {
      Deno.statSync(path);
      return true;
    } catch {
      return false;
    }
  };
  return {
    ipForwarding: read("/proc/sys/net/ipv4/ip_forward") === "1",
    ipvs: has("/proc/net/ip_vs"),
    overlayfs: /\boverlay\b/.test(read("/proc/filesystems")),
    bridge: has("/sys/module/bridge") || has("/proc/sys/net/bridge") || has("/sys/class/net"),
  };
}

/** As `uname -r` prints it. */
export function kernelVersion(): string {
  return read("/proc/sys/kernel/osrelease");
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return "";
  }
}
