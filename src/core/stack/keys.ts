import type { Cursor } from "./cursor.ts";

/** What a mapping may hold. A key that is in none of these is refused; `x-…` is everybody's own. */
export interface Keys {
  readonly known: readonly string[];
  /** Without a meaning on a cluster: warned about and left out. */
  readonly unsupported?: readonly string[];
  /** Left out with a sentence of their own. */
  readonly ignored?: Readonly<Record<string, string>>;
  /** What cannot be had, and what to write instead. */
  readonly refused?: Readonly<Record<string, string>>;
}

/** The known entries of a mapping that hold something; the rest is refused or remarked on. */
export function checkedEntries(at: Cursor, keys: Keys): [string, Cursor][] {
  const out: [string, Cursor][] = [];
  for (const [key, value] of at.entries()) {
    if (key.startsWith("x-")) continue;
    const refused = keys.refused?.[key];
    const ignored = keys.ignored?.[key];
    if (keys.known.includes(key)) {
      if (!value.isNull) out.push([key, value]);
    } else if (refused !== undefined) value.fail(refused);
    else if (ignored !== undefined) value.note(`ignored: ${ignored}`);
    else if (keys.unsupported?.includes(key)) value.unsupported();
    else {
      const near = nearest(key, [...keys.known, ...(keys.unsupported ?? [])]);
      value.fail(near === undefined ? "unknown key" : `unknown key; did you mean ${near}?`);
    }
  }
  return out;
}

/** Mistypings that are still recognised. */
const MAX_DISTANCE = 2;

export function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(MAX_DISTANCE, Math.floor(word.length / 2)) + 1;
  for (const candidate of words) {
    const distance = editDistance(word, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

export const FILE_KEYS: Keys = {
  known: ["version", "name", "include", "services", "networks", "volumes", "secrets", "configs"],
  unsupported: ["models"],
};

const LIMITS = "set it under deploy.resources.limits";
const RESERVATIONS = "set it under deploy.resources.reservations";

export const SERVICE_KEYS: Keys = {
  known: [
    "cap_add",
    "cap_drop",
    "command",
    "configs",
    "credential_spec",
    "depends_on",
    "deploy",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "entrypoint",
    "env_file",
    "environment",
    "extends",
    "extra_hosts",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "isolation",
    "labels",
    "logging",
    "networks",
    "oom_score_adj",
    "ports",
    "privileged",
    "profiles",
    "read_only",
    "restart",
    "scale",
    "secrets",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "volumes",
    "working_dir",
  ],
  unsupported: [
    "annotations",
    "attach",
    "blkio_config",
    "build",
    "cgroup",
    "cgroup_parent",
    "cgroupns_mode",
    "develop",
    "device_cgroup_rules",
    "domainname",
    "external_links",
    "gpus",
    "ipc",
    "label_file",
    "links",
    "mac_address",
    "mem_swappiness",
    "models",
    "network_mode",
    "oom_kill_disable",
    "pid",
    "platform",
    "post_start",
    "pre_stop",
    "pull_policy",
    "pull_refresh_after",
    "runtime",
    "security_opt",
    "shm_size",
    "storage_opt",
    "use_api_socket",
    "userns_mode",
    "uts",
  ],
  ignored: {
    container_name: "a service's containers are named after its tasks",
    expose: "services on the same network reach all ports of one another",
  },
  refused: {
    provider: "a service without an image cannot run on a cluster; take it out of the file",
    volume_driver: "set the driver of the volume under the top-level volumes",
    volumes_from:
      "volumes of another service are not at hand on every node; name them under volumes",
    cpu_count: `not supported: ${LIMITS}`,
    cpu_percent: `not supported: ${LIMITS}`,
    cpu_period: `not supported: ${LIMITS}`,
    cpu_quota: `not supported: ${LIMITS}`,
    cpu_rt_period: `not supported: ${LIMITS}`,
    cpu_rt_runtime: `not supported: ${LIMITS}`,
    cpu_shares: `not supported: ${RESERVATIONS}`,
    cpus: `not supported: ${LIMITS}`,
    cpuset: `not supported: ${LIMITS}`,
    mem_limit: `not supported: ${LIMITS}`,
    mem_reservation: `not supported: ${RESERVATIONS}`,
    memswap_limit: `not supported: ${LIMITS}`,
    pids_limit: `not supported: ${LIMITS}`,
  },
};

export const DEPLOY_KEYS: Keys = {
  known: [
    "endpoint_mode",
    "labels",
    "mode",
    "placement",
    "replicas",
    "resources",
    "restart_policy",
    "rollback_config",
    "update_config",
  ],
};

export const NETWORK_KEYS: Keys = {
  known: [
    "attachable",
    "driver",
    "driver_opts",
    "enable_ipv6",
    "external",
    "internal",
    "ipam",
    "labels",
    "name",
  ],
  unsupported: ["enable_ipv4"],
};

export const VOLUME_KEYS: Keys = {
  known: ["driver", "driver_opts", "external", "labels", "name"],
  unsupported: ["x-cluster-spec"],
};

export const SECRET_KEYS: Keys = {
  known: [
    "content",
    "driver",
    "driver_opts",
    "environment",
    "external",
    "file",
    "labels",
    "name",
    "template_driver",
  ],
};

export const CONFIG_KEYS: Keys = {
  known: ["content", "environment", "external", "file", "labels", "name", "template_driver"],
};
