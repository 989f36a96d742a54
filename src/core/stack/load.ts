import { FleetError, messageOf } from "../../base/errors.ts";
import { Cursor, noRemarks } from "./cursor.ts";
import type { Remarks } from "./cursor.ts";
import { parseEnvFile } from "./env_file.ts";
import { interpolateFile } from "./interpolate.ts";
import type { Lookup } from "./interpolate.ts";
import { checkedEntries, FILE_KEYS, nearest } from "./keys.ts";
import { withoutPaths } from "./clear.ts";
import { MAX_INCLUDES, readIncludes, withIncluded } from "./include.ts";
import type { Include } from "./include.ts";
import { mergeFiles, mergeServices } from "./merge.ts";
import { absolutePath, folderOf } from "./paths.ts";
import type { Places } from "./paths.ts";
import { readService } from "./read_service.ts";
import { readFileEntry, readNetwork, readVolume } from "./read_top_level.ts";
import type { ServiceEntry, StackFile } from "./stack_file.ts";
import { parseYaml } from "./yaml_source.ts";
import type { Source } from "./yaml_source.ts";

/** A compose file as it was read; `name` is how the person wrote it and begins the messages. */
export interface ComposeText {
  readonly name: string;
  readonly text: string;
}

export interface LoadOptions {
  /** Where relative paths lead: the first file's folder. */
  readonly places: Places;
  readonly lookup: Lookup;
  /** Reads further files: `env_file` and `extends`. Paths are absolute. */
  readText(path: string): Promise<string>;
  /** false leaves `${…}` as it stands. */
  readonly interpolate?: boolean;
  /** Services with profiles are left out unless one of theirs is here. */
  readonly profiles?: readonly string[];
}

export interface LoadedStack {
  readonly file: StackFile;
  readonly remarks: Remarks;
}

/** Services that extend one another in a row. */
const MAX_EXTENDS = 16;

/** Reads, checks and merges compose files. @throws FleetError invalid, with file, line and column */
export async function loadStack(
  texts: readonly ComposeText[],
  options: LoadOptions,
): Promise<LoadedStack> {
  const loader = new Loader(options);
  const merged = await loader.readAll(texts);
  const file = { ...merged, services: active(merged.services, options.profiles ?? []) };
  loader.checkReferences(file);
  if (loader.unset.size > 0) {
    const names = [...loader.unset].sort().join(", ");
    loader.remarks.notes.push(`not set, so an empty text stands for: ${names}`);
  }
  return { file, remarks: loader.remarks };
}

class Loader {
  readonly remarks: Remarks;
  readonly unset: Set<string>;
  readonly #options: LoadOptions;
  readonly #sources: Source[];
  readonly #extended = new Map<string, Source>();
  /** The files that include this one, outermost first. */
  readonly #trail: readonly string[];

  /** With `outer` it reads what another one's file includes, and remarks go there. */
  constructor(options: LoadOptions, outer?: Loader, trail: readonly string[] = []) {
    this.#options = options;
    this.remarks = outer?.remarks ?? noRemarks();
    this.unset = outer?.unset ?? new Set();
    this.#sources = outer ? outer.#sources : [];
    this.#trail = trail;
  }

  /** The files one over the other. */
  async readAll(texts: readonly ComposeText[]): Promise<StackFile> {
    const sources = texts.map(({ name, text }) => this.#source(name, text));
    let merged: StackFile | undefined;
    for (const [i, source] of sources.entries()) {
      // As if it had never been written: a file that it names is not even read.
      const later = sources.slice(i + 1).flatMap(({ cleared }) => cleared);
      const file = await this.#read({ ...source, root: withoutPaths(source.root, later) });
      merged = merged ? mergeFiles([withoutPaths(merged, source.cleared), file]) : file;
    }
    return merged!;
  }

  async #read(source: Source): Promise<StackFile> {
    const { name } = source;
    this.#sources.push(source);
    const { places } = this.#options;
    const top = new Cursor(source, [], source.root, this.remarks);
    const sections = new Map(checkedEntries(top, FILE_KEYS));
    const section = <T>(key: string, read: (at: Cursor) => T): Record<string, T> =>
      Object.fromEntries(
        (sections.get(key)?.entries() ?? []).map(([name, at]) => [name, read(at)]),
      );
    const version = sections.get("version");
    const services: Record<string, ServiceEntry> = {};
    for (const [service, at] of sections.get("services")?.entries() ?? []) {
      services[service] = await this.#service(at, places, [`${name} ${service}`]);
    }
    const file: StackFile = {
      ...(version ? { version: checkVersion(version) } : {}),
      ...(sections.has("name") ? { name: sections.get("name")!.text() } : {}),
      services,
      networks: section("networks", readNetwork),
      volumes: section("volumes", readVolume),
      secrets: section("secrets", (at) => readFileEntry("secret", at, places)),
      configs: section("configs", (at) => readFileEntry("config", at, places)),
      extensions: Object.fromEntries(
        Object.entries(source.root).filter(([key]) => key.startsWith("x-")),
      ),
    };
    const include = sections.get("include");
    if (!include) return file;
    let all = file;
    for (const entry of readIncludes(include, places)) {
      all = withIncluded(all, await this.#included(name, entry), entry.at);
    }
    return all;
  }

  async #included(name: string, { at, paths, folder, envFiles }: Include): Promise<StackFile> {
    const trail = [...this.#trail, name];
    const again = paths.find((path) => trail.includes(path));
    if (again !== undefined || trail.length > MAX_INCLUDES) {
      at.fail(`the files include one another without end: ${[...trail, ...paths].join(" -> ")}`);
    }
    const { lookup } = this.#options;
    const more = new Map<string, string>();
    for (const path of envFiles) {
      for (const [key, value] of parseEnvFile(path, await this.#text(at, path), lookup)) {
        if (value !== null) more.set(key, value);
      }
    }
    const options = {
      ...this.#options,
      places: { ...this.#options.places, folder },
      lookup: (key: string) => lookup(key) ?? more.get(key),
    };
    const texts: ComposeText[] = [];
    for (const path of paths) texts.push({ name: path, text: await this.#text(at, path) });
    return await new Loader(options, this, trail).readAll(texts);
  }

  /** @throws FleetError invalid at the place that names the file */
  async #text(at: Cursor, path: string): Promise<string> {
    try {
      return await this.#options.readText(path);
    } catch (error) {
      return at.fail(`${path} cannot be read: ${messageOf(error)}`);
    }
  }

  /** Every network, volume, secret and config that a service names must be declared. */
  checkReferences(file: StackFile): void {
    for (const [service, entry] of Object.entries(file.services)) {
      const check = (key: string, declared: object, names: readonly string[], section: string) => {
        for (const name of names) {
          if (Object.hasOwn(declared, name)) continue;
          const near = nearest(name, Object.keys(declared));
          const hint = near === undefined
            ? `declare it under the top-level ${section}`
            : `did you mean ${near}?`;
          this.#fail(["services", service, key], `"${name}" is not declared: ${hint}`);
        }
      };
      const names = Object.keys(entry.networks ?? {}).filter((name) => name !== "default");
      check("networks", file.networks, names, "networks");
      const volumes = (entry.volumes ?? []).filter((use) => use.type === "volume" && use.source);
      check("volumes", file.volumes, volumes.map((use) => use.source!), "volumes");
      check("secrets", file.secrets, (entry.secrets ?? []).map((use) => use.source), "secrets");
      check("configs", file.configs, (entry.configs ?? []).map((use) => use.source), "configs");
      const needed = Object.entries(entry.depends_on ?? {}).filter(([, one]) => one.required);
      check("depends_on", file.services, needed.map(([name]) => name), "services");
    }
    const circle = circleOf(file.services);
    if (circle) {
      this.#fail(
        ["services", circle[0]!, "depends_on"],
        `waits for itself: ${circle.join(" -> ")}`,
      );
    }
  }

  #fail(path: string[], message: string): never {
    const source = this.#sources.findLast((one) => {
      const services = one.root["services"];
      return typeof services === "object" && services !== null && Object.hasOwn(services, path[1]!);
    });
    throw new FleetError("invalid", `${source?.at(path) ?? ""}: ${path.join(".")}: ${message}`);
  }

  #source(name: string, text: string): Source {
    const source = parseYaml(name, text);
    if (this.#options.interpolate === false) return source;
    const root = interpolateFile(source, this.#options.lookup, (variable) => {
      this.unset.add(variable);
    });
    return { ...source, root };
  }

  async #service(at: Cursor, places: Places, trail: readonly string[]): Promise<ServiceEntry> {
    if (!at.isMap) at.fail("must be a mapping with an image");
    const own = await this.#withEnvironment(readService(at, places), at);
    const extension = at.child("extends");
    if (extension.isNull) return own;
    const base = await this.#extendedService(extension, places, trail);
    const cleared = at.source.cleared.filter((path) =>
      path.length > at.path.length && at.path.every((part, i) => path[i] === part)
    ).map((path) => path.slice(at.path.length));
    return mergeServices(withoutPaths(base, cleared), own);
  }

  async #extendedService(at: Cursor, places: Places, trail: readonly string[]) {
    let [file, service] = [undefined as string | undefined, ""];
    if (at.isMap) {
      for (const [key, value] of checkedEntries(at, { known: ["file", "service"] })) {
        if (key === "file") file = absolutePath(value.text(), places);
        else service = value.text();
      }
    } else service = at.text();
    const source = file === undefined ? at.source : await this.#extendedSource(at, file);
    const step = `${source.name} ${service}`;
    if (trail.includes(step) || trail.length >= MAX_EXTENDS) {
      at.fail(`the services extend one another without end: ${[...trail, step].join(" -> ")}`);
    }
    const services = new Cursor(
      source,
      ["services"],
      source.root["services"] ?? null,
      this.remarks,
    );
    const base = services.isMap ? services.child(service) : services;
    if (base.isNull) at.fail(`there is no service ${service} in ${source.name}`);
    const folder = file === undefined ? places : { ...places, folder: folderOf(file) };
    return this.#service(base, folder, [...trail, step]);
  }

  async #extendedSource(at: Cursor, path: string): Promise<Source> {
    const known = this.#extended.get(path);
    if (known) return known;
    const source = this.#source(path, await this.#text(at, path));
    this.#extended.set(path, source);
    return source;
  }

  /** Files first, then what stands in the service; a name without a value takes the one it has here. */
  async #withEnvironment(entry: ServiceEntry, at: Cursor): Promise<ServiceEntry> {
    if (!entry.environment && !entry.env_file) return entry;
    const { lookup, readText } = this.#options;
    const all: Record<string, string | null> = {};
    for (const { path, required } of entry.env_file ?? []) {
      let text: string;
      try {
        text = await readText(path);
      } catch (error) {
        if (!required) continue;
        return at.child("env_file").fail(`${path} cannot be read: ${messageOf(error)}`);
      }
      for (const [name, value] of parseEnvFile(path, text, lookup)) all[name] = value;
    }
    for (const [name, value] of Object.entries(entry.environment ?? {})) {
      all[name] = value ?? lookup(name) ?? null;
    }
    return { ...entry, environment: all };
  }
}

function checkVersion(at: Cursor): string {
  const text = typeof at.value === "number" ? String(at.value) : at.text();
  if (!/^3(\.([0-9]|1[0-3]))?$/.test(text)) {
    at.fail(`version "${text}" is not supported: write 3 to 3.13, or leave the line out`);
  }
  return text;
}

function active(
  services: Readonly<Record<string, ServiceEntry>>,
  profiles: readonly string[],
): Record<string, ServiceEntry> {
  return Object.fromEntries(
    Object.entries(services).filter(([, { profiles: own = [] }]) =>
      own.length === 0 || profiles.includes("*") || own.some((name) => profiles.includes(name))
    ),
  );
}

/** Services that wait for one another in a circle. */
function circleOf(services: Readonly<Record<string, ServiceEntry>>): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const next of Object.keys(services[name]?.depends_on ?? {})) {
      const found = visit(next, [...trail, name]);
      if (found) return found;
    }
    done.add(name);
    return undefined;
  };
  for (const name of Object.keys(services)) {
    const found = visit(name, []);
    if (found) return found;
  }
  return undefined;
}
