import { explainMismatch, matches, parseConstraints } from "../../model/constraint.ts";
import type { Constraint } from "../../model/constraint.ts";
import type { Platform } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";
import { hostPortsOf } from "./node_load.ts";
import type { NodeLoad } from "./node_load.ts";

/** Decides whether a node can take a task; answers undefined when it can, else the reason in words. */
export type Filter = (load: NodeLoad) => string | undefined;

const MIB = 1024 * 1024;
const BUILTIN_LOG_DRIVERS = new Set(["", "none"]);

/** All filters that a task needs, cheapest and most telling first (SwarmKit 4.8's order). */
export function filtersFor(task: Task): Filter[] {
  const placement = task.Spec.Placement;
  const filters: Filter[] = [ready];
  const reserved = task.Spec.Resources?.Reservations;
  if (reserved?.NanoCPUs || reserved?.MemoryBytes || reserved?.GenericResources?.length) {
    filters.push(resources(task));
  }
  const plugins = pluginsOf(task);
  if (plugins.length > 0) filters.push(pluginFilter(plugins));
  const constraints = parseConstraints(placement?.Constraints ?? []);
  if (constraints.length > 0) filters.push(constraintFilter(constraints));
  if (placement?.Platforms?.length) filters.push(platformFilter(placement.Platforms));
  const ports = hostPortsOf(task);
  if (ports.length > 0) {
    filters.push((load) => {
      const taken = ports.find((port) => load.hostPorts.has(port));
      return taken === undefined ? undefined : `host-mode port ${taken} already in use`;
    });
  }
  const limit = placement?.MaxReplicas ?? 0;
  if (limit > 0) {
    filters.push((load) =>
      (load.perService.get(task.ServiceID ?? "") ?? 0) >= limit
        ? "max replicas per node limit exceed"
        : undefined
    );
  }
  return filters;
}

function ready({ node }: NodeLoad): string | undefined {
  if (node.Status.State !== "ready") return `not available (${node.Status.State})`;
  const availability = node.Spec.Availability ?? "active";
  return availability === "active" ? undefined : `not available for new tasks (${availability})`;
}

function resources(task: Task): Filter {
  const reserved = task.Spec.Resources?.Reservations ?? {};
  return (load) => {
    const cpus = reserved.NanoCPUs ?? 0;
    if (cpus > load.freeNanoCpus) {
      return `insufficient resources: ${decimal(load.freeNanoCpus / 1e9)} of ${
        decimal(cpus / 1e9)
      } CPUs free`;
    }
    const memory = reserved.MemoryBytes ?? 0;
    if (memory > load.freeMemory) {
      return `insufficient resources: ${Math.max(0, Math.floor(load.freeMemory / MIB))} of ${
        Math.ceil(memory / MIB)
      } MiB memory free`;
    }
    for (const { DiscreteResourceSpec } of reserved.GenericResources ?? []) {
      const { Kind: kind = "", Value: wanted = 0 } = DiscreteResourceSpec ?? {};
      const held = load.generic.get(kind);
      const free = Math.max(held?.count ?? 0, held?.names.length ?? 0);
      if (wanted > free) return `insufficient resources: ${free} of ${wanted} ${kind} free`;
    }
    return undefined;
  };
}

function decimal(value: number): string {
  return String(Number(Math.max(0, value).toFixed(2)));
}

/** Volume, network and log drivers that a task names, as `Type/name`. */
function pluginsOf(task: Task): string[] {
  const found: string[] = [];
  for (const mount of task.Spec.ContainerSpec?.Mounts ?? []) {
    const driver = mount.VolumeOptions?.DriverConfig?.Name;
    if (driver) found.push(`Volume/${driver}`);
  }
  const log = task.Spec.LogDriver?.Name ?? task.LogDriver?.Name ?? "";
  if (!BUILTIN_LOG_DRIVERS.has(log)) found.push(`Log/${log}`);
  return found;
}

function pluginFilter(wanted: readonly string[]): Filter {
  return ({ node }) => {
    const plugins = node.Description?.Engine?.Plugins ?? [];
    const types = new Set(plugins.map(({ Type }) => Type));
    const held = new Set(
      plugins.map(({ Type, Name }) => `${Type}/${(Name ?? "").replace(/:latest$/, "")}`),
    );
    const lacking = wanted.find((plugin) => {
      const [type] = plugin.split("/");
      // Engines that do not tell their log drivers are taken to have them.
      if (type === "Log" && !types.has("Log")) return false;
      return !held.has(plugin.replace(/:latest$/, ""));
    });
    return lacking === undefined ? undefined : `missing plugin ${lacking.split("/")[1]}`;
  };
}

function constraintFilter(constraints: readonly Constraint[]): Filter {
  return ({ node }) => {
    const broken = constraints.find((constraint) => !matches(constraint, node));
    return broken === undefined ? undefined : explainMismatch(broken);
  };
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };
const normal = (arch: string | undefined) => ARCHITECTURES[arch ?? ""] ?? arch ?? "";

function platformFilter(platforms: readonly Platform[]): Filter {
  return ({ node }) => {
    const own = node.Description?.Platform;
    const fits = platforms.some((platform) =>
      (!platform.OS || platform.OS === own?.OS) &&
      (!platform.Architecture || normal(platform.Architecture) === normal(own?.Architecture))
    );
    return fits ? undefined : `unsupported platform ${own?.OS}/${normal(own?.Architecture)}`;
  };
}

/**
 * Why no node fits, in one sentence: `no suitable node (2 nodes lack label disk=ssd; 1 node …)`. The
 * beginning is Docker's; the reasons name what is missing.
 */
export function explain(reasons: readonly string[]): string {
  if (reasons.length === 0) return "no suitable node (the cluster has no nodes)";
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(
    ([reason, count]) => {
      const noun = count === 1 ? "1 node" : `${count} nodes`;
      if (/^lack |^have /.test(reason)) {
        return `${noun} ${
          count === 1 ? reason.replace(/^lack/, "lacks").replace(/^have/, "has") : reason
        }`;
      }
      return /^not available/.test(reason) ? `${noun} ${reason}` : `${reason} on ${noun}`;
    },
  );
  return `no suitable node (${parts.join("; ")})`;
}
