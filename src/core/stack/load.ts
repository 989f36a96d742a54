import { FleetError, messageOf } from "../../base/errors.ts";
import { checkReferences, checkSpecs } from "./check_stack.ts";
import { Cursor, noRemarks } from "./cursor.ts";
import type { Remarks } from "./cursor.ts";
import { parseDotEnv, parseEnvFile } from "./env_file.ts";
import { interpolateFile } from "./interpolate.ts";
import type { Lookup } from "./interpolate.ts";
import { checkedEntries, FILE_KEYS } from "./keys.ts";
import { withoutPaths } from "./clear.ts";
import {
  localPath,
  MAX_INCLUDED_FILES,
  MAX_INCLUDES,
  readIncludes,
  withIncluded,
} from "./include.ts";
import type { Include } from "./include.ts";
import { mergeFiles, mergeServices } from "./merge.ts";
import { folderOf } from "./paths.ts";
import type { Places } from "./paths.ts";
import { readService } from "./read_service.ts";
import { readFileEntry, readNetwork, readVolume } from "./read_top_level.ts";
import type { EnvFile, ServiceEntry, StackFile } from "./stack_file.ts";
import { parseYaml } from "./yaml_source.ts";
import type { Path, Source, Value, Values } from "./yaml_source.ts";

/** A compose file as it was read; `name` is how the person wrote it and begins the messages. */
export interface ComposeText {
  readonly name: string;
  readonly text: string;
}

export interface LoadOptions {
  /** Where relative paths lead: the first file's folder. */
  readonly places: Places;
  readonly lookup: Lookup;
  /** The stack's name, where it is known: without it the file's own. */
  readonly stack?: string;
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
  /** What included projects' own files of variables say of those that hold their secrets and configs. */
  readonly variables: ReadonlyMap<string, string>;
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
  checkReferences(file, loader.fail);
  // With `${…}` left as it stands there is no spec yet.
  const unset = [...loader.unset].sort().join(", ");
  if (options.interpolate !== false) {
    checkSpecs(options.stack ?? file.name, file, (path, message) =>
      // It may well be why.
      loader.fail(path, unset === "" ? message : `${message} (not set: ${unset})`));
  }
  if (unset !== "") loader.remarks.notes.push(`not set, so an empty text stands for: ${unset}`);
  return { file, remarks: loader.remarks, variables: loader.shared.variables };
}

/** What is one for all files, included ones too. */
interface Shared {
  readonly sources: Source[];
  readonly variables: Map<string, string>;
  /** Files so far. */
  included: number;
}

class Loader {
  readonly remarks: Remarks;
  readonly unset: Set<string>;
  readonly shared: Shared;
  readonly #options: LoadOptions;
  readonly #extended = new Map<string, Source>();
  /** Where a service names a file of variables. */
  readonly #named = new WeakMap<EnvFile, Cursor>();
  /** The files that include this one, outermost first. */
  readonly #trail: readonly string[];

  /** With `outer` it reads what another one's file includes, and remarks go there. */
  constructor(options: LoadOptions, outer?: Loader, trail: readonly string[] = []) {
    this.#options = options;
    this.remarks = outer?.remarks ?? noRemarks();
    this.unset = outer?.unset ?? new Set();
    this.shared = outer?.shared ?? { sources: [], variables: new Map(), included: 0 };
    this.#trail = trail;
  }

  /** The files one over the other; `cleared` is what files after them take away. */
  async readAll(texts: readonly ComposeText[], cleared: readonly Path[] = []): Promise<StackFile> {
    const sources = texts.map(({ name, text }) => this.#source(name, text));
    let merged: StackFile | undefined;
    for (const [i, source] of sources.entries()) {
      // As if it had never been written: a file that it names is not even read.
      const later = [...sources.slice(i + 1).flatMap((one) => one.cleared), ...cleared];
      const file = await this.#read({ ...source, root: withoutPaths(source.root, later) }, later);
      merged = merged ? mergeFiles([withoutPaths(merged, source.cleared), file]) : file;
    }
    return merged!;
  }

  async #read(source: Source, later: readonly Path[]): Promise<StackFile> {
    const { name } = source;
    this.shared.sources.push(source);
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
      const entry = await this.#service(at, places, [`${name} ${service}`]);
      services[service] = await this.#withEnvironment(withoutPaths(entry, within(at, later)));
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
      all = withIncluded(all, await this.#included(name, entry, later), entry.at);
    }
    return all;
  }

  async #included(name: string, include: Include, later: readonly Path[]): Promise<StackFile> {
    const { at, paths, folder } = include;
    const trail = [...this.#trail, name];
    const again = paths.find((path) => trail.includes(path));
    if (again !== undefined || trail.length > MAX_INCLUDES) {
      at.fail(`the files include one another without end: ${[...trail, ...paths].join(" -> ")}`);
    }
    this.shared.included += paths.length;
    if (this.shared.included > MAX_INCLUDED_FILES) {
      at.fail(`more than ${MAX_INCLUDED_FILES} files are included in all`);
    }
    const lookup = await this.#includedLookup(include);
    const options = {
      ...this.#options,
      places: { ...this.#options.places, folder },
      lookup,
    };
    const texts: ComposeText[] = [];
    for (const path of paths) texts.push({ name: path, text: await this.#text(at, path) });
    const file = await new Loader(options, this, trail).readAll(texts, later);
    for (
      const { environment } of [...Object.values(file.secrets), ...Object.values(file.configs)]
    ) {
      if (environment !== undefined) this.#keepVariable(at, environment, lookup);
    }
    return file;
  }

  /** Variables as an included project sees them: those from here win over its own. */
  async #includedLookup({ at, folder, envFiles }: Include): Promise<Lookup> {
    const { lookup } = this.#options;
    const own = new Map<string, string>();
    const both: Lookup = (key) => lookup(key) ?? own.get(key);
    const read = (path: string, text: string) => {
      for (const [key, value] of parseDotEnv(path, text, both)) own.set(key, value);
    };
    for (const path of envFiles ?? []) read(path, await this.#text(at, path));
    if (envFiles) return both;
    const path = folder === "/" ? "/.env" : `${folder}/.env`;
    const text = await this.#options.readText(path).catch(() => undefined);
    if (text === undefined) return both;
    read(path, text);
    const counted = [...own.keys()].filter((key) => lookup(key) === undefined).sort();
    if (counted.length > 0) {
      this.remarks.notes.push(`Variables from ${path}: ${counted.join(", ")}`);
    }
    return both;
  }

  /** The data of secrets and configs are read later, when included projects' variables are forgotten. */
  #keepVariable(at: Cursor, name: string, included: Lookup): void {
    const value = included(name);
    if (value === undefined || this.#options.lookup(name) !== undefined) return;
    const before = this.shared.variables.get(name);
    if (before !== undefined && before !== value) {
      at.fail(
        `the variable ${name} holds a secret or config here and in another included project, and differs; set it in the environment`,
      );
    }
    this.shared.variables.set(name, value);
  }

  /** @throws FleetError invalid at the place that names the file */
  async #text(at: Cursor, path: string): Promise<string> {
    try {
      return await this.#options.readText(path);
    } catch (error) {
      return at.fail(`${path} cannot be read: ${messageOf(error)}`);
    }
  }

  /** Ends with a sentence at the deepest part of `path` that a file has, the last one first. */
  readonly fail = (path: readonly string[], message: string): never => {
    for (let length = path.length; length > 0; length--) {
      const part = path.slice(0, length);
      const source = this.shared.sources.findLast(({ root }) => holds(root, part));
      if (source) {
        throw new FleetError("invalid", `${source.at(part)}: ${path.join(".")}: ${message}`);
      }
    }
    throw new FleetError("invalid", `${path.join(".")}: ${message}`);
  };

  #source(name: string, text: string): Source {
    const source = parseYaml(name, text);
    for (const path of source.kept) {
      new Cursor(source, path, null, this.remarks).note(
        "!reset leaves what the merge key (<<) brings, as with Docker Compose: write an empty value to be without it",
      );
    }
    if (this.#options.interpolate === false) return source;
    const root = interpolateFile(source, this.#options.lookup, (variable) => {
      this.unset.add(variable);
    });
    return { ...source, root };
  }

  /** One service with what it extends; files of variables are named and not read yet. */
  async #service(at: Cursor, places: Places, trail: readonly string[]): Promise<ServiceEntry> {
    if (!at.isMap) at.fail("must be a mapping with an image");
    const own = readService(at, places);
    for (const file of own.env_file ?? []) this.#named.set(file, at.child("env_file"));
    const extension = at.child("extends");
    if (extension.isNull) return own;
    const base = await this.#extendedService(extension, places, trail);
    return mergeServices(withoutPaths(base, within(at, at.source.cleared)), own);
  }

  async #extendedService(at: Cursor, places: Places, trail: readonly string[]) {
    let [file, service] = [undefined as string | undefined, ""];
    if (at.isMap) {
      for (const [key, value] of checkedEntries(at, { known: ["file", "service"] })) {
        if (key === "file") file = localPath(value, places);
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
  async #withEnvironment(entry: ServiceEntry): Promise<ServiceEntry> {
    if (!entry.environment && !entry.env_file) return entry;
    const { lookup, readText } = this.#options;
    const all: Record<string, string | null> = {};
    for (const file of entry.env_file ?? []) {
      const { path, required } = file;
      let text: string;
      try {
        text = await readText(path);
      } catch (error) {
        if (!required) continue;
        return this.#named.get(file)!.fail(`${path} cannot be read: ${messageOf(error)}`);
      }
      for (const [name, value] of parseEnvFile(path, text, lookup)) all[name] = value;
    }
    for (const [name, value] of Object.entries(entry.environment ?? {})) {
      all[name] = value ?? lookup(name) ?? null;
    }
    return { ...entry, environment: all };
  }
}

/** Those of `paths` that lead into what stands at `at`, from there. */
function within(at: Cursor, paths: readonly Path[]): Path[] {
  return paths.filter((path) =>
    path.length > at.path.length && at.path.every((part, i) => path[i] === part)
  ).map((path) => path.slice(at.path.length));
}

function holds(root: Value, path: Path): boolean {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return false;
    value = (value as Values)[part] ?? null;
  }
  return true;
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
