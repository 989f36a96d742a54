import type { Cursor } from "./cursor.ts";
import { checkedEntries, CONFIG_KEYS, NETWORK_KEYS, SECRET_KEYS, VOLUME_KEYS } from "./keys.ts";
import { absolutePath } from "./paths.ts";
import type { Places } from "./paths.ts";
import { readTexts } from "./read_texts.ts";
import type { FileEntry, NetworkEntry, VolumeEntry } from "./stack_file.ts";

export function readNetwork(at: Cursor): NetworkEntry {
  const out: NetworkEntry = {};
  for (const [key, value] of checkedEntries(at, NETWORK_KEYS)) {
    switch (key) {
      case "name":
      case "driver":
        out[key] = value.text();
        break;
      case "driver_opts":
      case "labels":
        out[key] = readTexts(value);
        break;
      case "external":
        readExternal(out, at, value);
        break;
      case "ipam":
        out.ipam = readIpam(value);
        break;
      default:
        out[key as "attachable" | "internal" | "enable_ipv6"] = value.boolean();
    }
  }
  return checkExternal(at, out, ["name", "external"]);
}

function readIpam(at: Cursor): NonNullable<NetworkEntry["ipam"]> {
  const out: NonNullable<NetworkEntry["ipam"]> = {};
  for (
    const [key, value] of checkedEntries(at, {
      known: ["config", "driver"],
      unsupported: ["options"],
    })
  ) {
    if (key === "driver") out.driver = value.text();
    else {
      out.config = value.items().map((item) => {
        const config: NonNullable<typeof out.config>[number] = {};
        for (
          const [name, each] of checkedEntries(item, {
            known: ["aux_addresses", "gateway", "ip_range", "subnet"],
          })
        ) {
          if (name === "aux_addresses") config.aux_addresses = readTexts(each);
          else config[name as "gateway" | "ip_range" | "subnet"] = each.text();
        }
        return config;
      });
    }
  }
  return out;
}

export function readVolume(at: Cursor): VolumeEntry {
  const out: VolumeEntry = {};
  for (const [key, value] of checkedEntries(at, VOLUME_KEYS)) {
    if (key === "driver_opts" || key === "labels") out[key] = readTexts(value);
    else if (key === "external") readExternal(out, at, value);
    else out[key as "name" | "driver"] = value.text();
  }
  return checkExternal(at, out, ["name", "external"]);
}

/** A secret or config. */
export function readFileEntry(kind: "secret" | "config", at: Cursor, places: Places): FileEntry {
  const out: FileEntry = {};
  for (const [key, value] of checkedEntries(at, kind === "secret" ? SECRET_KEYS : CONFIG_KEYS)) {
    switch (key) {
      case "driver_opts":
      case "labels":
        out[key] = readTexts(value);
        break;
      case "external":
        readExternal(out, at, value);
        break;
      case "file":
        out.file = absolutePath(value.text(), places);
        break;
      case "template_driver":
        out.template_driver = value.word("golang");
        break;
      default:
        out[key as "name" | "content" | "environment" | "driver"] = value.text();
    }
  }
  checkExternal(at, out, ["name", "external"]);
  const sources = (["external", "file", "content", "environment", "driver"] as const)
    .filter((key) => out[key]);
  if (sources.length !== 1) {
    const choices = kind === "secret"
      ? "file, content, environment, driver or external"
      : "file, content, environment or external";
    at.fail(
      sources.length === 0
        ? `says nowhere what it holds: give one of ${choices}`
        : `gives ${sources.join(" and ")}: only one of them can hold`,
    );
  }
  return out;
}

/** `external: true`, or the older `external: { name: … }`. */
function readExternal(
  out: { name?: string; external?: boolean },
  parent: Cursor,
  at: Cursor,
): void {
  if (!at.isMap) {
    if (at.boolean()) out.external = true;
    return;
  }
  out.external = true;
  for (const [, name] of checkedEntries(at, { known: ["name"] })) {
    if (!parent.child("name").isNull) name.fail("conflicts with name; keep name alone");
    name.note("deprecated: write external: true and name beside it");
    out.name = name.text();
  }
}

function checkExternal<T extends { external?: boolean }>(
  at: Cursor,
  entry: T,
  allowed: readonly string[],
): T {
  const more = entry.external
    ? Object.keys(entry).find((key) => !allowed.includes(key))
    : undefined;
  if (more !== undefined) {
    at.child(more).fail("does not go with external: true: the object exists already");
  }
  return entry;
}
