import { humanDuration } from "../../src/base/duration.ts";
import type { Finding } from "./findings.ts";
import { ok, trouble, warning } from "./findings.ts";

interface Disk {
  readonly path: string;
  readonly free: number;
  readonly total: number;
}

/** What a node says of itself. */
export interface Health {
  readonly Version: string;
  readonly TimeMs: number;
  readonly Engine: { readonly Version: string; readonly Problem: string; readonly Disk?: Disk };
  /** Why the node can have no overlay network; empty when it can. */
  readonly Overlay: string;
  readonly Kernel: Readonly<Record<string, boolean>>;
  /** Overlay networks and published ports; absent outside of a cluster. */
  readonly Networks?: {
    /** `ipvs` or `nftables`. */
    readonly Mesh: string;
    /** What others changed since the agent has started, and it put back. */
    readonly Drift: number;
    readonly Problems: Readonly<Record<string, string>>;
  };
  readonly Disks: readonly Disk[];
  readonly Mtu: number;
  /** End of the node's certificate, in milliseconds since 1970; 0 outside of a cluster. */
  readonly CertificateUntilMs: number;
  /** When it should have been renewed at the latest; unknown of older agents. */
  readonly CertificateDueMs?: number;
  readonly Trial: boolean;
  readonly RolledBack: string;
}

const LOW_DISK = 0.1;
const FULL_DISK = 0.02;
/** Certificates and tokens are about minutes, logs of several nodes about less. */
const SKEW_MS = { warning: 2_000, error: 60_000 } as const;
/** Of a certificate of which it is not known when its renewal is due. */
const CERTIFICATE_WARNING_MS = 3 * 86_400_000;

/** What one node's own words tell. `askedMs` is this machine's time in the middle of the question. */
export function examine(name: string, health: Health, askedMs: number): Finding[] {
  return [
    engine(name, health),
    ...overlay(name, health),
    ...networks(name, health),
    ...disks(name, health),
    clock(name, health.TimeMs - askedMs),
    ...certificate(name, health, askedMs),
    ...upgrade(name, health),
  ];
}

function engine(name: string, { Engine }: Health): Finding {
  if (Engine.Problem === "") return ok(name, `engine ${Engine.Version} answers`);
  return /swarm mode/.test(Engine.Problem)
    ? trouble(name, Engine.Problem, `docker swarm leave --force on ${name}`)
    : trouble(name, Engine.Problem, `start the engine on ${name}: systemctl start docker`);
}

function overlay(name: string, { Overlay, Kernel, Mtu }: Health): Finding[] {
  const found: Finding[] = [];
  if (Overlay !== "") {
    found.push(
      trouble(
        name,
        `no overlay networks: ${Overlay}`,
        "install iproute2 and nftables; use a kernel with vxlan",
      ),
    );
  } else if (Mtu > 0) found.push(ok(name, `overlay networks can be had (MTU ${Mtu})`));
  if (Kernel["ipForwarding"] === false) {
    found.push(
      warning(
        name,
        "IPv4 forwarding is off",
        "sysctl -w net.ipv4.ip_forward=1, and keep it in /etc/sysctl.d",
      ),
    );
  }
  return found;
}

function networks(name: string, { Networks, Kernel }: Health): Finding[] {
  const found: Finding[] = [];
  if (Kernel["overlayfs"] === false) {
    found.push(
      warning(
        name,
        "its kernel has no overlayfs: images take long and much room",
        "modprobe overlay",
      ),
    );
  }
  if (!Networks) return found;
  const { Mesh, Drift, Problems } = Networks;
  for (const [subject, why] of Object.entries(Problems)) {
    found.push(
      trouble(name, `${subject}: ${why}`, `it is tried again; the log of ${name}'s agent has more`),
    );
  }
  if (Drift > 0) {
    found.push(
      warning(
        name,
        `${Drift} of its network settings were changed by others and put back since its agent started`,
        `look for what changes them on ${name}: a firewall that reloads its rules, a script, a person`,
      ),
    );
  } else if (Object.keys(Problems).length === 0) {
    const by = Mesh === "" ? "" : `, ports by ${Mesh}`;
    found.push(ok(name, `its networks are as they should be${by}`));
  }
  return found;
}

function disks(name: string, { Disks, Engine }: Health): Finding[] {
  const all = Engine.Disk ? [...Disks, Engine.Disk] : Disks;
  return all.filter(({ total }) => total > 0).map(({ path, free, total }) => {
    const text = `${path}: ${Math.round((free / total) * 100)}% free (${gigabytes(free)})`;
    if (free / total < FULL_DISK) {
      return trouble(name, text, "free some space now: changes will be refused");
    }
    if (free / total < LOW_DISK) {
      return warning(name, text, "docker system prune, or a larger disk");
    }
    return ok(name, text);
  });
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

function clock(name: string, skewMs: number): Finding {
  const away = Math.abs(skewMs);
  if (away < SKEW_MS.warning) return ok(name, "its clock agrees with this machine's");
  const text = `its clock is ${humanDuration(away)} ${
    skewMs > 0 ? "ahead of" : "behind"
  } this machine's`;
  const fix = "keep clocks by NTP: systemctl enable --now systemd-timesyncd (or chrony)";
  return away < SKEW_MS.error ? warning(name, text, fix) : trouble(name, text, fix);
}

function certificate(name: string, health: Health, nowMs: number): Finding[] {
  const { CertificateUntilMs: untilMs, CertificateDueMs: dueMs } = health;
  if (!untilMs) return [];
  const left = untilMs - nowMs;
  const log = `what its agent's log says of "certificate not renewed"`;
  if (left <= 0) {
    const fix =
      `it is renewed as soon as a manager answers ${name}, within 90 days; look at ${log}`;
    return [trouble(name, "certificate has ended", fix)];
  }
  if (nowMs <= (dueMs ?? untilMs - CERTIFICATE_WARNING_MS)) {
    return [ok(name, `certificate good for ${humanDuration(left)}`)];
  }
  const text = `certificate ends in ${humanDuration(left)} and was not renewed yet`;
  return [warning(name, text, `is ${name} connected to a manager? Look at ${log}`)];
}

function upgrade(name: string, { Trial, RolledBack, Version }: Health): Finding[] {
  if (RolledBack !== "") {
    return [
      warning(
        name,
        `an upgrade to ${RolledBack} did not come up; ${Version} is back`,
        `journalctl -u fleet on ${name}`,
      ),
    ];
  }
  return Trial ? [warning(name, `${Version} is on trial`, "wait a minute")] : [];
}
