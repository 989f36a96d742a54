import { confirmOnTerminal } from "./confirm.ts";
import { FleetError } from "../src/base/errors.ts";
import { fileIds } from "../src/model/file_versions.ts";
import type { FileKind } from "../src/model/file_versions.ts";
import { checkFileObjectName } from "../src/model/names.ts";
import type { ApiService } from "./api_types.ts";
import type { CliEnvironment } from "./environment.ts";
import { filtersText, segment } from "./query.ts";
import { addInspectFlags, addListFlags } from "./list_flags.ts";
import type { InspectFlags, ListFlags } from "./list_flags.ts";
import { Blocks } from "./render/blocks.ts";
import { renderList } from "./render/list.ts";
import type { ListShape } from "./render/list.ts";
import { naturalCompare } from "./render/natural_sort.ts";
import { ago, labelsText, timeText } from "./render/text.ts";
import { forEachReference, inspectEach } from "./several.ts";
import { toRecord } from "./spec/pairs.ts";
import type { Verb } from "./verb.ts";

/** Secrets and configs: the same verbs but for a few words. */
export type { FileKind };

interface FileObject {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt?: string;
  readonly UpdatedAt?: string;
  readonly Spec: {
    readonly Name?: string;
    readonly Labels?: Readonly<Record<string, string>>;
    readonly Data?: string;
    readonly Driver?: { readonly Name?: string };
  };
}

interface CreateFlags {
  readonly label?: readonly string[];
  readonly driver?: string;
  readonly templateDriver?: string;
}

export function createVerb(kind: FileKind): Verb<CreateFlags> {
  return {
    define(command) {
      command.usage("[options] NAME [FILE|-]").argument("<name>", `Name of the ${kind}`)
        .argument("[file]", "File with the data, - for standard input")
        .list("-l, --label <label>", "Label (key=value)")
        .value("--template-driver <string>", "Expand templates in the data (golang)");
      if (kind === "secret") command.value("-d, --driver <string>", "Driver that holds the data");
      command.examples(
        `fleet ${kind} create site site.conf`,
        `printf hello | fleet ${kind} create greeting -`,
      );
    },
    async run({ client, env, print }, [name = "", file], flags) {
      checkFileObjectName(kind, name);
      if (file === undefined && !flags.driver) {
        throw new FleetError("invalid", `name the file with the data, or - for standard input`);
      }
      if (file !== undefined && flags.driver) {
        throw new FleetError("invalid", "the driver holds the data: name no file");
      }
      const data = file === undefined ? undefined : await readData(env, file);
      const created = await client.post<{ ID: string }>(`/${kind}s/create`, {
        body: {
          Name: name,
          Labels: toRecord(flags.label),
          ...(data ? { Data: toBase64(data) } : {}),
          ...(flags.driver ? { Driver: { Name: flags.driver } } : {}),
          ...(flags.templateDriver ? { Templating: { Name: flags.templateDriver } } : {}),
        },
      });
      print(created.ID);
    },
  };
}

interface UpdateFlags {
  readonly labelAdd?: readonly string[];
  readonly labelRm?: readonly string[];
  readonly detach?: boolean;
}

/** Labels alone, or a new version of the data, to which the services that use it roll. */
export function updateVerb(kind: FileKind): Verb<UpdateFlags> {
  return {
    define(command) {
      command.usage("[options] NAME [FILE|-]").argument("<name>", "Name or id")
        .argument("[file]", "File with the new data, - for standard input")
        .list("--label-add <label>", "Add or change a label (key=value)")
        .list("--label-rm <key>", "Remove a label")
        .flag("-d, --detach", "Do not wait until the services have settled")
        .examples(
          `fleet ${kind} update site site.conf`,
          `fleet ${kind} update --label-add stage=live site`,
        );
    },
    async run(context, [reference = "", file], flags) {
      const { client, print } = context;
      const object = await client.get<FileObject>(`/${kind}s/${segment(reference)}`);
      const labels = { ...object.Spec.Labels, ...toRecord(flags.labelAdd) };
      for (const key of flags.labelRm ?? []) delete labels[key];
      const query = { version: object.Version.Index };
      if (file === undefined) {
        if (!flags.labelAdd && !flags.labelRm) {
          throw new FleetError("invalid", `name the file with the new data, or labels to change`);
        }
        await client.post(`/${kind}s/${segment(object.ID)}/update`, {
          query,
          body: { ...object.Spec, Labels: labels },
        });
        return print(reference);
      }
      const { Services, ID } = await client.post<{ ID: string; Services: readonly string[] }>(
        `/fleet/${kind}s/${segment(object.ID)}/rotate`,
        { query, body: { Data: toBase64(await readData(context.env, file)), Labels: labels } },
      );
      print(ID);
      const { waitForService } = await import("./service/wait.ts");
      for (const name of Services) {
        print(`Updating service ${name}`);
        if (flags.detach) continue;
        const service = await client.get<ApiService>(`/services/${segment(name)}`);
        await waitForService(context, service.ID, {});
      }
    },
  };
}

function readData(env: CliEnvironment, file: string): Promise<Uint8Array> {
  return file === "-" ? env.stdin.readAll() : env.readFile(file);
}

export function listVerb(kind: FileKind): Verb<ListFlags> {
  return {
    define(command) {
      addListFlags(command).examples(`fleet ${kind} ls --filter name=site`);
    },
    async run({ client, env }, _args, flags) {
      const [objects, services] = await Promise.all([
        client.get<FileObject[]>(`/${kind}s`, { query: { filters: filtersText(flags.filter) } }),
        flags.quiet ? [] : client.get<ApiService[]>("/services"),
      ]);
      const users = usersById(kind, services);
      env.stdout.write(renderFileObjects(kind, objects, env.now(), flags, users));
    },
  };
}

/** Names of the services that use each secret or config, by its id. */
function usersById(kind: FileKind, services: readonly ApiService[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { Spec } of services) {
    for (const id of new Set(fileIds(Spec.TaskTemplate?.ContainerSpec, kind))) {
      users.set(id, [...users.get(id) ?? [], Spec.Name ?? ""].sort());
    }
  }
  return users;
}

/** The list in the asked form, by name. */
export function renderFileObjects(
  kind: FileKind,
  objects: readonly FileObject[],
  nowMs: number,
  flags: ListFlags,
  users: ReadonlyMap<string, readonly string[]> = new Map(),
): string {
  const shape: ListShape = {
    headers: {
      ID: "ID",
      Name: "NAME",
      ...(kind === "secret" ? { Driver: "DRIVER" } : {}),
      CreatedAt: "CREATED",
      UpdatedAt: "UPDATED",
      UsedBy: "USED BY",
      Labels: "LABELS",
    },
    columns: kind === "secret"
      ? ["ID", "Name", "Driver", "CreatedAt", "UpdatedAt", "UsedBy"]
      : ["ID", "Name", "CreatedAt", "UpdatedAt", "UsedBy"],
  };
  const rows = [...objects]
    .sort((a, b) => naturalCompare(a.Spec.Name ?? "", b.Spec.Name ?? ""))
    .map((object) => ({
      ID: object.ID,
      Name: object.Spec.Name ?? "",
      ...(kind === "secret" ? { Driver: object.Spec.Driver?.Name ?? "" } : {}),
      CreatedAt: ago(object.CreatedAt, nowMs),
      UpdatedAt: ago(object.UpdatedAt, nowMs),
      UsedBy: (users.get(object.ID) ?? []).join(","),
      Labels: labelsText(object.Spec.Labels),
      Label: (key: unknown) => object.Spec.Labels?.[String(key)] ?? "",
    }));
  return renderList(shape, rows, flags);
}

export function inspectVerb(kind: FileKind): Verb<InspectFlags> {
  return {
    define(command) {
      addInspectFlags(command.argument(`<${kind}...>`, "Names or ids"))
        .examples(`fleet ${kind} inspect --pretty site`);
    },
    run(context, args, flags) {
      return inspectEach<FileObject>(
        context,
        args,
        flags,
        (reference) => context.client.get(`/${kind}s/${segment(reference)}`),
        (object) => prettyFileObject(kind, object),
      );
    },
  };
}

function prettyFileObject(kind: FileKind, object: FileObject): string {
  const out = new Blocks().line("ID", object.ID).line("Name", object.Spec.Name)
    .pairs("Labels", object.Spec.Labels)
    .line("Driver", object.Spec.Driver?.Name)
    .line("Created at", timeText(object.CreatedAt))
    .line("Updated at", timeText(object.UpdatedAt));
  if (kind !== "config") return out.toString();
  const data = new TextDecoder().decode(
    Uint8Array.from(atob(object.Spec.Data ?? ""), (c) => c.charCodeAt(0)),
  );
  return `${out}Data:\n${data}${data.endsWith("\n") ? "" : "\n"}`;
}

export function removeVerb(kind: FileKind): Verb<{ readonly yes?: boolean }> {
  return {
    define(command) {
      command.argument(`<${kind}...>`, "Names or ids")
        .flag("-y, --yes", "Ask nothing")
        .examples(`fleet ${kind} rm site`);
    },
    async run(context, args, { yes }) {
      const question = `Remove ${args.join(", ")} for good?`;
      await confirmOnTerminal(context.env, question, yes);
      return await forEachReference(
        context,
        args,
        (reference) => context.client.remove(`/${kind}s/${segment(reference)}`),
      );
    },
  };
}

/** In pieces: a call takes only so many arguments. */
export function toBase64(bytes: Uint8Array): string {
  const PIECE = 8192;
  let binary = "";
  for (let i = 0; i < bytes.length; i += PIECE) {
    binary += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  }
  return btoa(binary);
}
