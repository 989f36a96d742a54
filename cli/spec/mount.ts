import { FleetError } from "../../src/base/errors.ts";
import type { Mount } from "../../src/model/container_spec.ts";
import { needValue, parseFields, parsePair } from "./pairs.ts";
import { parseBytes, parseFlagValue } from "./values.ts";

const TYPES = ["bind", "volume", "tmpfs", "npipe", "cluster", "image"];
const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type BindOptions = Writable<NonNullable<Mount["BindOptions"]>>;
type VolumeOptions = Writable<NonNullable<Mount["VolumeOptions"]>>;
type TmpfsOptions = Writable<NonNullable<Mount["TmpfsOptions"]>>;

/** `type=…,source=…,target=…,…`: one mount of a service. @throws FleetError invalid */
export function parseMount(text: string): Mount {
  const mount: Writable<Mount> = { Type: "volume" };
  const bind: BindOptions = {};
  const volume: VolumeOptions = {};
  const tmpfs: TmpfsOptions = {};
  const labels: Record<string, string> = {};
  const driverOptions: Record<string, string> = {};
  let driver: string | undefined;
  let imageSubpath: string | undefined;

  for (const { key, value } of parseFields(text)) {
    const need = () => needValue(`mount "${text}"`, key, value);
    switch (key) {
      case "type":
        mount.Type = need().toLowerCase();
        break;
      case "source":
      case "src":
        mount.Source = need();
        break;
      case "target":
      case "dst":
      case "destination":
        mount.Target = need();
        break;
      case "readonly":
      case "ro":
        mount.ReadOnly = parseFlagValue(key, value);
        break;
      case "consistency":
        mount.Consistency = need().toLowerCase();
        break;
      case "bind-propagation":
        bind.Propagation = need().toLowerCase();
        break;
      case "bind-nonrecursive":
        bind.NonRecursive = parseFlagValue(key, value);
        break;
      case "bind-create-src":
        bind.CreateMountpoint = parseFlagValue(key, value);
        break;
      case "bind-recursive":
        setRecursive(bind, need());
        break;
      case "volume-nocopy":
        volume.NoCopy = parseFlagValue(key, value);
        break;
      case "volume-subpath":
        volume.Subpath = need();
        break;
      case "volume-label": {
        const [name, label] = parsePair(need());
        labels[name] = label;
        break;
      }
      case "volume-driver":
        driver = need();
        break;
      case "volume-opt": {
        const [name, option] = parsePair(need());
        driverOptions[name] = option;
        break;
      }
      case "image-subpath":
        imageSubpath = need();
        break;
      case "tmpfs-size":
        tmpfs.SizeBytes = parseBytes(need());
        break;
      case "tmpfs-mode":
        tmpfs.Mode = parseMode(need());
        break;
      default:
        throw new FleetError("invalid", `mount "${text}": unknown field "${key}"`);
    }
  }
  if (Object.keys(labels).length > 0) volume.Labels = labels;
  if (driver !== undefined || Object.keys(driverOptions).length > 0) {
    volume.DriverConfig = {
      ...(driver === undefined ? {} : { Name: driver }),
      ...(Object.keys(driverOptions).length > 0 ? { Options: driverOptions } : {}),
    };
  }
  const used: [string, object, string][] = [
    ["bind", bind, "BindOptions"],
    ["volume", volume, "VolumeOptions"],
    ["tmpfs", tmpfs, "TmpfsOptions"],
    ["image", imageSubpath === undefined ? {} : { Subpath: imageSubpath }, "ImageOptions"],
  ];
  const result: Record<string, unknown> = { ...mount };
  for (const [type, options, field] of used) {
    if (Object.keys(options).length === 0) continue;
    if (type !== mount.Type) {
      throw new FleetError(
        "invalid",
        `mount "${text}": ${type}-… fields do not go with type=${mount.Type}`,
      );
    }
    result[field] = options;
  }
  check(text, result as Mount);
  return result as Mount;
}

function check(text: string, mount: Mount): void {
  const fail = (message: string) => new FleetError("invalid", `mount "${text}": ${message}`);
  if (!TYPES.includes(mount.Type ?? "")) {
    throw fail(`unknown type "${mount.Type}"; it is one of ${TYPES.join(", ")}`);
  }
  if (!mount.Target) throw fail("target is required");
  const propagation = mount.BindOptions?.Propagation;
  if (propagation !== undefined && !PROPAGATIONS.includes(propagation)) {
    throw fail(`bind-propagation is one of ${PROPAGATIONS.join(", ")}, not "${propagation}"`);
  }
  if (mount.Type === "bind" && !mount.Source) throw fail("type=bind needs a source");
  if (mount.Type === "tmpfs" && mount.Source) throw fail("type=tmpfs has no source");
}

function setRecursive(bind: BindOptions, value: string): void {
  if (value === "enabled") return;
  if (value === "disabled") bind.NonRecursive = true;
  else if (value === "writable") bind.ReadOnlyNonRecursive = true;
  else if (value === "readonly") bind.ReadOnlyForceRecursive = true;
  else {
    throw new FleetError(
      "invalid",
      `bind-recursive is enabled, disabled, writable or readonly, not "${value}"`,
    );
  }
}

/** Octal permission bits. @throws FleetError invalid */
export function parseMode(text: string): number {
  if (!/^0?o?[0-7]{1,5}$/.test(text)) {
    throw new FleetError("invalid", `"${text}" is no file mode: write it in octal, like 0440`);
  }
  return parseInt(text.replace(/^0?o/, ""), 8);
}
