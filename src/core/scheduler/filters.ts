import { explainMismatch, matches, parseConstraints } from "../../model/constraint.ts";
import type { Constraint } from "../../model/constraint.ts";
import { isEncrypted } from "../../model/network.ts";
import type { Platform } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { bindSources, hostPortsOf } from "./node_info.ts";
import type { NodeInfo } from "./node_info.ts";

/** Decides whether a node can take a task, and says in words why not. */
export interface Filter {
  /** Whether placing more tasks can change the answer. */
  readonly dynamic: boolean;
  passes(info: NodeInfo): boolean;
  /** Asked only where {@link passes} said no. */
  refusal(info: NodeInfo): Refusal;
}

/** Why one node cannot; equal `what`s are told together. */
export interface Refusal {
  readonly what: string;
  /** Of something that is short: how much is free. */
  readonly free?: number;
  /** The words for `count` nodes, of which none has more than `free`. */
  say(count: number, free: number): string;
}

const MIB = 1024 * 1024;
const BUILTIN_LOG_DRIVERS: ReadonlySet<string> = new Set(["", "none"]);

/** All filters that a task needs, in SwarmKit's order: the first that says no is the one told. */
export function filtersFor(view: View, task: Task, nowMs: number): Filter[] {
  const placement = task.Spec.Placement;
  const filters = [ready, ...resourceFilters(task)];
  for (const plugin of pluginsOf(task)) filters.push(pluginFilter(plugin));
  for (const constraint of parseConstraints(placement?.Constraints ?? [])) {
    filters.push(constraintFilter(constraint));
  }
  for (const path of bindSources(task)) filters.push(pathFilter(path, nowMs));
  if (task.NetworksAttachments?.some(({ Addresses }) => Addresses?.length)) filters.push(overlay);
  const encrypted = (task.NetworksAttachments ?? []).flatMap(({ NetworkID }) => {
    const network = view.get("network", NetworkID);
    return network && isEncrypted(network) ? [network.Spec.Name ?? network.ID] : [];
  });
  if (encrypted.length > 0) filters.push(encryption(encrypted[0]!));
  if (placement?.Platforms?.length) filters.push(platformFilter(placement.Platforms));
  for (const port of hostPortsOf(task)) filters.push(hostPortFilter(port));
  if (placement?.MaxReplicas) filters.push(maxReplicasFilter(task, placement.MaxReplicas));
  return filters;
}

/** `1 node …` or `5 nodes …`. */
function nodes(count: number): string {
  return count === 1 ? "1 node" : `${count} nodes`;
}

const ready: Filter = {
  dynamic: false,
  passes: ({ node }) =>
    node.Status.State === "ready" && (node.Spec.Availability ?? "active") === "active",
  refusal: ({ node }) => {
    const why = node.Status.State === "ready" ? node.Spec.Availability : node.Status.State;
    return {
      what: `ready ${why}`,
      say: (count) => `${nodes(count)} not available for new tasks (${why})`,
    };
  },
};

function resourceFilters(task: Task): Filter[] {
  const { NanoCPUs: cpus = 0, MemoryBytes: memory = 0, GenericResources: generic = [] } =
    task.Spec.Resources?.Reservations ?? {};
  const filters: Filter[] = [];
  if (cpus > 0) {
    filters.push(shortage("CPUs", cpus, (info) => info.freeNanoCpus, (n) => decimal(n / 1e9)));
  }
  if (memory > 0) {
    const mib = (n: number) => String(Math.max(0, Math.floor(n / MIB)));
    filters.push(shortage("MiB memory", memory, (info) => info.freeMemory, mib));
  }
  for (const { DiscreteResourceSpec } of generic) {
    const { Kind: kind = "", Value: value = 0 } = DiscreteResourceSpec ?? {};
    filters.push(shortage(kind, value, (info) => info.freeGeneric(kind), decimal));
  }
  return filters;
}

function shortage(
  what: string,
  needed: number,
  freeOf: (info: NodeInfo) => number,
  text: (amount: number) => string,
): Filter {
  return {
    dynamic: true,
    passes: (info) => freeOf(info) >= needed,
    refusal: (info) => ({
      what,
      free: freeOf(info),
      say: (count, free) =>
        `${nodes(count)} ${count === 1 ? "has" : "have at most"} ${text(free)} of ${
          text(needed)
        } ${what} free`,
    }),
  };
}

function decimal(value: number): string {
  return String(Number(Math.max(0, value).toFixed(2)));
}

/** Volume and log drivers that a task names, as `Type/name`. */
function pluginsOf(task: Task): string[] {
  const found: string[] = [];
  for (const mount of task.Spec.ContainerSpec?.Mounts ?? []) {
    const driver = mount.VolumeOptions?.DriverConfig?.Name;
    if (driver) found.push(`Volume/${withoutLatest(driver)}`);
  }
  const log = task.Spec.LogDriver?.Name ?? task.LogDriver?.Name ?? "";
  if (!BUILTIN_LOG_DRIVERS.has(log)) found.push(`Log/${withoutLatest(log)}`);
  return found;
}

function withoutLatest(name: string | undefined): string {
  return (name ?? "").replace(/:latest$/, "");
}

function pluginFilter(wanted: string): Filter {
  const [type, name] = wanted.split("/", 2);
  return {
    dynamic: false,
    passes: ({ node }) => {
      const plugins = node.Description?.Engine?.Plugins ?? [];
      // Engines that do not tell their log drivers are taken to have them.
      if (type === "Log" && !plugins.some((plugin) => plugin.Type === "Log")) return true;
      return plugins.some((plugin) => plugin.Type === type && withoutLatest(plugin.Name) === name);
    },
    refusal: () => ({ what: wanted, say: (count) => `missing plugin ${name} on ${nodes(count)}` }),
  };
}

function constraintFilter(constraint: Constraint): Filter {
  return {
    dynamic: false,
    passes: ({ node }) => matches(constraint, node),
    refusal: () => ({
      what: `${constraint.key}${constraint.equal}${constraint.value}`,
      say: (count) => `${nodes(count)} ${explainMismatch(constraint, count)}`,
    }),
  };
}

/**
 * Nobody tells the managers what paths a host has; a task that was refused for want of one does, and
 * keeps others away for a while.
 */
function pathFilter(path: string, nowMs: number): Filter {
  return {
    dynamic: false,
    passes: (info) => !info.lacksPath(path, nowMs),
    refusal: () => ({
      what: `path ${path}`,
      say: (count) => `${nodes(count)} ${count === 1 ? "lacks" : "lack"} the path ${path}`,
    }),
  };
}

/** Only overlay networks have addresses from the managers; a node says itself that it can have none. */
const overlay: Filter = {
  dynamic: false,
  passes: ({ node }) => node.Description?.Overlay?.Problem === undefined,
  refusal: ({ node }) => {
    const why = node.Description?.Overlay?.Problem ?? "";
    return {
      what: `overlay ${why}`,
      say: (count) => `no overlay networks on ${nodes(count)}: ${why}`,
    };
  },
};

/** What of an encrypted network is on a node that cannot encrypt would reach nobody. */
function encryption(network: string): Filter {
  return {
    dynamic: false,
    passes: ({ node }) => node.Description?.Overlay?.EncryptionProblem === undefined,
    refusal: ({ node }) => {
      const why = node.Description?.Overlay?.EncryptionProblem ?? "";
      return {
        what: `encryption ${why}`,
        say: (count) => `encrypted network ${network} cannot be on ${nodes(count)}: ${why}`,
      };
    },
  };
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };
const usual = (arch: string | undefined) => ARCHITECTURES[arch ?? ""] ?? arch ?? "";

function platformFilter(platforms: readonly Platform[]): Filter {
  return {
    dynamic: false,
    passes: ({ node }) => {
      const own = node.Description?.Platform;
      return platforms.some((platform) =>
        (!platform.OS || platform.OS === own?.OS) &&
        (!platform.Architecture || usual(platform.Architecture) === usual(own?.Architecture))
      );
    },
    refusal: ({ node }) => {
      const own = node.Description?.Platform;
      const name = `${own?.OS || "unknown"}/${usual(own?.Architecture) || "unknown"}`;
      return { what: name, say: (count) => `unsupported platform ${name} on ${nodes(count)}` };
    },
  };
}

function hostPortFilter(port: string): Filter {
  return {
    dynamic: true,
    passes: (info) => !info.usesHostPort(port),
    refusal: () => ({
      what: port,
      say: (count) => `host-mode port ${port} already in use on ${nodes(count)}`,
    }),
  };
}

function maxReplicasFilter(task: Task, limit: number): Filter {
  const service = task.ServiceID ?? "";
  return {
    dynamic: true,
    passes: (info) => info.countOf(service) < limit,
    // Docker's words, which have no count.
    refusal: () => ({ what: "max replicas", say: () => "max replicas per node limit exceed" }),
  };
}

/**
 * Why no node fits, in one sentence: `no suitable node (2 nodes lack label disk=ssd; 1 node has …)`.
 * The beginning is Docker's; the reasons name what is missing, the most frequent first.
 */
export function explain(refusals: Iterable<Refusal>): string {
  const groups = new Map<string, { refusal: Refusal; count: number; free: number }>();
  for (const refusal of refusals) {
    const group = groups.get(refusal.what);
    const free = refusal.free ?? 0;
    if (group) {
      group.count++;
      group.free = Math.max(group.free, free);
    } else groups.set(refusal.what, { refusal, count: 1, free });
  }
  if (groups.size === 0) return "no suitable node (the cluster has no nodes)";
  const parts = [...groups.values()]
    .sort((a, b) => b.count - a.count || (a.refusal.what < b.refusal.what ? -1 : 1))
    .map(({ refusal, count, free }) => refusal.say(count, free));
  return `no suitable node (${parts.join("; ")})`;
}
