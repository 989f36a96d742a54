import type { NodeDescription } from "../../model/node.ts";
import type { GenericResource } from "../../model/service_spec.ts";

/** The part of the engine's `GET /info` that fleet reads. */
export interface EngineInfo {
  readonly Name: string;
  readonly OSType: string;
  /** As the kernel names it: x86_64, aarch64. */
  readonly Architecture: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly ServerVersion: string;
  /** The daemon's `--label`s, `key=value`. */
  readonly Labels: readonly string[] | null;
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>>;
  /** The daemon's `--node-generic-resource`s. */
  readonly GenericResources?: readonly GenericResource[] | null;
  readonly Swarm?: { readonly LocalNodeState?: string };
}

/** What the managers are told of a node: the engine's own words, sorted, so that equal nodes look equal. */
export function describeEngine(info: EngineInfo, hostname: string | undefined): NodeDescription {
  const plugins = Object.entries(info.Plugins ?? {}).flatMap(([Type, names]) =>
    (names ?? []).map((Name) => ({ Type, Name }))
  );
  const generic = info.GenericResources ?? [];
  return {
    Hostname: hostname ?? info.Name,
    Platform: { Architecture: info.Architecture, OS: info.OSType },
    Resources: {
      NanoCPUs: info.NCPU * 1e9,
      MemoryBytes: info.MemTotal,
      ...(generic.length > 0 ? { GenericResources: generic } : {}),
    },
    Engine: {
      EngineVersion: info.ServerVersion,
      Labels: engineLabels(info.Labels ?? []),
      Plugins: plugins.sort((a, b) =>
        a.Type === b.Type ? (a.Name < b.Name ? -1 : 1) : a.Type < b.Type ? -1 : 1
      ),
    },
  };
}

function engineLabels(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    [...lines].sort().map((line) => {
      const at = line.indexOf("=");
      return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}
