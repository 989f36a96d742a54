import { Buffer } from "node:buffer";
import { FleetError } from "../../base/errors.ts";
import type { Task } from "../../model/task.ts";
import type { MountedFile } from "./container_request.ts";

/** Secrets and configs that this node has been given, by id. Data is base64. */
export interface Dependencies {
  secret(id: string): { readonly name: string; readonly data: string } | undefined;
  config(id: string): { readonly name: string; readonly data: string } | undefined;
}

const DEFAULT_MODE = 0o444;

/** The files of tasks in a folder on a tmpfs: clear text never reaches a disk. */
export class TaskFiles {
  readonly #folder: string;
  readonly #dependencies: Dependencies;

  constructor(folder: string, dependencies: Dependencies) {
    this.#folder = folder;
    this.#dependencies = dependencies;
  }

  /** @throws FleetError unavailable when a secret or config of the task has not arrived */
  async prepare(task: Task): Promise<MountedFile[]> {
    const spec = task.Spec.ContainerSpec;
    const wanted = [
      ...(spec?.Secrets ?? []).map((ref) => ({
        kind: "secret" as const,
        id: ref.SecretID ?? "",
        file: ref.File,
        folder: "/run/secrets/",
      })),
      ...(spec?.Configs ?? []).filter((ref) => ref.File)
        .map((ref) => ({
          kind: "config" as const,
          id: ref.ConfigID ?? "",
          file: ref.File,
          folder: "/",
        })),
    ];
    if (wanted.length === 0) return [];
    const folder = `${this.#folder}/${task.ID}`;
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const mounted: MountedFile[] = [];
    for (const { kind, id, file, folder: target } of wanted) {
      const found = this.#dependencies[kind](id);
      if (!found) throw new FleetError("unavailable", `${kind} ${id} is not on this node`);
      const source = `${folder}/${kind}-${id}-${mounted.length}`;
      await Deno.writeFile(source, new Uint8Array(Buffer.from(found.data, "base64")), {
        mode: 0o600,
      });
      await Deno.chown(source, Number(file?.UID ?? 0) || 0, Number(file?.GID ?? 0) || 0);
      await Deno.chmod(source, (file?.Mode ?? DEFAULT_MODE) & 0o7777);
      const name = file?.Name ?? found.name;
      mounted.push({ source, target: name.startsWith("/") ? name : target + name });
    }
    return mounted;
  }

  async remove(taskId: string): Promise<void> {
    await Deno.remove(`${this.#folder}/${taskId}`, { recursive: true }).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}
