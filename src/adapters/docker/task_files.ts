import { Buffer } from "node:buffer";
import { statfs } from "node:fs/promises";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Task } from "../../model/task.ts";
import { expandPayload } from "../../model/task_template.ts";
import type { TemplateNode } from "../../model/task_template.ts";
import type { MountedFile } from "./container_request.ts";

/** Secrets and configs that this node has been given, by id. Data is base64. */
export interface Dependencies {
  secret(id: string): Content | undefined;
  config(id: string): Content | undefined;
}

interface Content {
  readonly name: string;
  readonly data: string;
  /** The data is a template, expanded for each task. */
  readonly template?: true;
}

const DEFAULT_MODE = 0o444;
/** `f_type` of statfs(2) for the file systems that live in memory only: tmpfs, ramfs. */
const MEMORY_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]);

interface Wanted {
  readonly kind: "secret" | "config";
  readonly id: string;
  /** As the service knows it. */
  readonly name: string | undefined;
  readonly file: { Name?: string; UID?: string; GID?: string; Mode?: number } | undefined;
  /** Where a relative name goes in the container. */
  readonly folder: string;
}

/** The files of tasks in a folder on a tmpfs: clear text never reaches a disk. */
export class TaskFiles {
  readonly #folder: string;
  readonly #dependencies: Dependencies;
  #ready: Promise<void> | undefined;

  constructor(folder: string, dependencies: Dependencies) {
    this.#folder = folder;
    this.#dependencies = dependencies;
  }

  /**
   * Writes the task's secrets and configs. May be called again: equal content is written over.
   * @throws FleetError not-found when one of them has not arrived, unavailable when there is no tmpfs,
   * invalid for a template that cannot be expanded
   */
  async prepare(task: Task, node: TemplateNode): Promise<MountedFile[]> {
    const wanted = wantedFiles(task);
    if (wanted.length === 0) return [];
    await this.#ensureInMemory();
    const folder = `${this.#folder}/${task.ID}`;
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const mounted: MountedFile[] = [];
    for (const item of wanted) {
      const found = this.#find(item);
      const source = `${folder}/${item.kind}-${item.id}-${mounted.length}`;
      const data = found.template ? this.#expanded(found, item, wanted, task, node) : found.data;
      await writeAs(source, data, item);
      const name = item.file?.Name || item.name || found.name;
      mounted.push({ source, target: name.startsWith("/") ? name : item.folder + name });
    }
    return mounted;
  }

  #find({ kind, id }: Wanted): Content {
    const found = this.#dependencies[kind](id);
    if (!found) throw new FleetError("not-found", `${kind} ${id} was not sent to this node`);
    return found;
  }

  /** A template may refer to the task's other files by their targets; those are taken as they stand. */
  #expanded(
    { name, data }: Content,
    { kind }: Wanted,
    wanted: readonly Wanted[],
    task: Task,
    node: TemplateNode,
  ): string {
    const content = (of: Wanted["kind"]) => (target: string) => {
      const item = wanted.find((each) => each.kind === of && each.file?.Name === target);
      return item && Buffer.from(this.#find(item).data, "base64").toString();
    };
    const text = Buffer.from(data, "base64").toString();
    try {
      const files = { secret: content("secret"), config: content("config") };
      return Buffer.from(expandPayload(text, task, node, files)).toString("base64");
    } catch (error) {
      throw new FleetError("invalid", `${kind} ${name}: ${messageOf(error)}`, { cause: error });
    }
  }

  async remove(taskId: string): Promise<void> {
    await Deno.remove(`${this.#folder}/${taskId}`, { recursive: true }).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  /** Tasks that have files here. */
  async taskIds(): Promise<string[]> {
    try {
      return (await Array.fromAsync(Deno.readDir(this.#folder))).map(({ name }) => name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** Takes the folder away, with the tmpfs if one was mounted on it; after leaving the cluster. */
  async dispose(): Promise<void> {
    this.#ready = undefined;
    const mounts = await Deno.readTextFile("/proc/self/mountinfo").catch(() => "");
    if (mounts.split("\n").some((line) => line.split(" ")[4] === this.#folder)) {
      await mountTool("umount", [this.#folder]);
    }
    await Deno.remove(this.#folder, { recursive: true }).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  #ensureInMemory(): Promise<void> {
    const attempt = this.#ready ??= ensureMemoryFolder(this.#folder);
    attempt.catch(() => this.#ready = undefined);
    return attempt;
  }
}

function wantedFiles(task: Task): Wanted[] {
  const spec = task.Spec.ContainerSpec;
  return [
    ...(spec?.Secrets ?? []).map((ref): Wanted => ({
      kind: "secret",
      id: ref.SecretID ?? "",
      name: ref.SecretName,
      file: ref.File,
      folder: "/run/secrets/",
    })),
    // One without a file is for the engine (credential specs), not for the program.
    ...(spec?.Configs ?? []).filter((ref) => ref.File).map((ref): Wanted => ({
      kind: "config",
      id: ref.ConfigID ?? "",
      name: ref.ConfigName,
      file: ref.File,
      folder: "/",
    })),
  ];
}

async function writeAs(path: string, base64: string, { kind, id, file }: Wanted): Promise<void> {
  const [uid, gid] = [numericId(file?.UID), numericId(file?.GID)];
  if (uid === undefined || gid === undefined) {
    throw new FleetError(
      "invalid",
      `${kind} ${id}: its file's owner must be a number, not ${file?.UID}:${file?.GID}`,
    );
  }
  // A file left by an earlier agent may be read-only even for its owner's tools: start anew.
  const fresh = `${path}.new`;
  await Deno.writeFile(fresh, new Uint8Array(Buffer.from(base64, "base64")), { mode: 0o600 });
  await Deno.chown(fresh, uid, gid);
  await Deno.chmod(fresh, (file?.Mode ?? DEFAULT_MODE) & 0o7777);
  await Deno.rename(fresh, path);
}

function numericId(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return 0;
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** A folder that no disk stands behind; mounts a tmpfs on it where its place is on a disk. */
async function ensureMemoryFolder(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  if (await isInMemory(folder)) return;
  const failure = await mountTool("mount", [
    "-t",
    "tmpfs",
    "-o",
    "mode=0700,nosuid,nodev,noexec",
    "fleet-tasks",
    folder,
  ]);
  if (failure === undefined && await isInMemory(folder)) return;
  throw new FleetError(
    "unavailable",
    `secrets and configs need a tmpfs, but ${folder} is on a disk and none could be mounted there: ${failure}`,
  );
}

/** What went wrong, or undefined. */
async function mountTool(command: "mount" | "umount", args: string[]): Promise<string | undefined> {
  try {
    const { code, stderr } = await new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    return code === 0 ? undefined : new TextDecoder().decode(stderr).trim();
  } catch (error) {
    return messageOf(error);
  }
}

async function isInMemory(folder: string): Promise<boolean> {
  return MEMORY_FILE_SYSTEMS.has((await statfs(folder)).type);
}
