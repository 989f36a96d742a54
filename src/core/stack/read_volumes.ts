import type { Cursor } from "./cursor.ts";
import { checkedEntries } from "./keys.ts";
import { absolutePath } from "./paths.ts";
import type { Places } from "./paths.ts";
import type { VolumeUse } from "./stack_file.ts";

const TYPES = ["bind", "cluster", "image", "npipe", "tmpfs", "volume"];
const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/** A service's `volumes`. Paths on the host become absolute. @throws FleetError invalid */
export function readVolumes(at: Cursor, places: Places): VolumeUse[] {
  return at.items().map((item) => {
    const use = item.isMap ? readLong(item) : readShort(item);
    if (!use.target) item.fail("needs a target: the path inside the container");
    const { type, source } = use;
    if (type === "bind" && source === undefined) item.fail("type bind needs a source");
    return type === "bind" ? { ...use, source: absolutePath(source!, places) } : use;
  });
}

function readLong(at: Cursor): VolumeUse {
  const use: VolumeUse = { type: "" };
  for (
    const [key, value] of checkedEntries(at, {
      known: [
        "bind",
        "consistency",
        "image",
        "read_only",
        "source",
        "target",
        "tmpfs",
        "type",
        "volume",
      ],
    })
  ) {
    switch (key) {
      case "type":
        use.type = value.word(...TYPES);
        break;
      case "source":
      case "target":
      case "consistency":
        use[key] = value.text();
        break;
      case "read_only":
        use.read_only = value.boolean();
        break;
      default:
        readOptions(use, key, value);
    }
  }
  if (use.type === "") at.fail(`needs a type: one of ${TYPES.join(", ")}`);
  return use;
}

function readOptions(use: VolumeUse, kind: string, at: Cursor): void {
  const known = {
    bind: { known: ["create_host_path", "propagation"], unsupported: ["recursive", "selinux"] },
    volume: { known: ["nocopy", "subpath"], unsupported: ["labels"] },
    tmpfs: { known: ["mode", "size"] },
    image: { known: ["subpath"] },
  }[kind]!;
  const options: Record<string, string | number | boolean> = {};
  for (const [key, value] of checkedEntries(at, known)) {
    if (key === "propagation") options[key] = value.word(...PROPAGATIONS);
    else if (key === "subpath") options[key] = value.text();
    else if (key === "size") options[key] = value.bytes();
    else if (key === "mode") options[key] = value.mode();
    else options[key] = value.boolean();
  }
  if (Object.keys(options).length > 0) Object.assign(use, { [kind]: options });
}

/** `[source:]target[:options]`. */
function readShort(at: Cursor): VolumeUse {
  const text = at.text();
  const parts = text.split(":");
  if (parts.length > 3 || parts.some((part) => part === "")) {
    at.fail(`"${text}" is no volume: write it like data:/path, ./folder:/path:ro or /path`);
  }
  if (parts.length === 1) return { type: "volume", target: parts[0]! };
  const [source = "", target = "", options = ""] = parts;
  const bind = /^[./~]/.test(source);
  const use: VolumeUse = { type: bind ? "bind" : "volume", source, target };
  for (const option of options === "" ? [] : options.split(",")) {
    if (option === "ro") use.read_only = true;
    else if (option === "nocopy") use.volume = { nocopy: true };
    else if (PROPAGATIONS.includes(option)) use.bind = { propagation: option };
    else if (!["rw", "z", "Z"].includes(option)) at.note(`the option "${option}" is ignored`);
  }
  return use;
}
