import type { Mount } from "../../model/container_spec.ts";
import { parseBytes } from "../../base/quantities.ts";
import { FleetError } from "../../base/errors.ts";
import { nameOf, STACK_LABEL } from "./naming.ts";
import type { ServiceEntry, StackFile, VolumeUse } from "./stack_file.ts";

/** The mounts of a service: its volumes, then its short `tmpfs`. @throws FleetError invalid */
export function convertMounts(stack: string, entry: ServiceEntry, file: StackFile): Mount[] {
  return [
    ...(entry.volumes ?? []).map((use) => convertVolume(stack, use, file)),
    ...(entry.tmpfs ?? []).map(convertTmpfs),
  ];
}

function convertVolume(stack: string, use: VolumeUse, file: StackFile): Mount {
  const common = {
    Type: use.type,
    Target: use.target ?? "",
    ...(use.read_only ? { ReadOnly: true } : {}),
    ...(use.consistency === undefined ? {} : { Consistency: use.consistency }),
  };
  const source = use.source === undefined ? {} : { Source: use.source };
  switch (use.type) {
    case "volume":
      return use.source === undefined ? common : { ...common, ...namedVolume(stack, use, file) };
    case "bind": {
      const options = {
        ...(use.bind?.propagation === undefined ? {} : { Propagation: use.bind.propagation }),
        ...(use.bind?.create_host_path ? { CreateMountpoint: true } : {}),
      };
      return {
        ...common,
        ...source,
        ...(Object.keys(options).length > 0 ? { BindOptions: options } : {}),
      };
    }
    case "tmpfs": {
      const { size, mode } = use.tmpfs ?? {};
      return {
        ...common,
        ...(use.tmpfs
          ? {
            TmpfsOptions: {
              ...(size === undefined ? {} : { SizeBytes: size }),
              ...(mode === undefined ? {} : { Mode: mode }),
            },
          }
          : {}),
      };
    }
    case "image":
      return {
        ...common,
        ...source,
        ...(use.image?.subpath === undefined
          ? {}
          : { ImageOptions: { Subpath: use.image.subpath } }),
      };
    default:
      return { ...common, ...source };
  }
}

function namedVolume(stack: string, use: VolumeUse, file: StackFile): Partial<Mount> {
  const entry = file.volumes[use.source!];
  const own = {
    ...(use.volume?.nocopy ? { NoCopy: true } : {}),
    ...(use.volume?.subpath === undefined ? {} : { Subpath: use.volume.subpath }),
  };
  const Source = nameOf(stack, use.source!, entry);
  if (entry?.external) return { Source, VolumeOptions: own };
  const driver = entry?.driver !== undefined || entry?.driver_opts !== undefined
    ? {
      DriverConfig: {
        ...(entry.driver === undefined ? {} : { Name: entry.driver }),
        ...(entry.driver_opts ? { Options: entry.driver_opts } : {}),
      },
    }
    : {};
  return {
    Source,
    VolumeOptions: { ...own, Labels: { ...entry?.labels, [STACK_LABEL]: stack }, ...driver },
  };
}

/** `path[:size=64m,mode=1777]`. */
function convertTmpfs(text: string): Mount {
  const [target = "", options = ""] = text.split(":", 2);
  const out: { SizeBytes?: number; Mode?: number } = {};
  for (const option of options === "" ? [] : options.split(",")) {
    const [key, value = ""] = option.split("=", 2);
    if (key === "size") out.SizeBytes = parseBytes(value);
    else if (key === "mode" && /^[0-7]{1,5}$/.test(value)) out.Mode = Number.parseInt(value, 8);
    else if (!["rw", "nosuid", "nodev", "noexec"].includes(key ?? "")) {
      throw new FleetError("invalid", `tmpfs "${text}": the options are size= and mode=`);
    }
  }
  return {
    Type: "tmpfs",
    Target: target,
    ...(Object.keys(out).length > 0 ? { TmpfsOptions: out } : {}),
  };
}
