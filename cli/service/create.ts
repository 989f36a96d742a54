import { FleetError } from "../../src/base/errors.ts";
import { isImageReference } from "../../src/model/image_reference.ts";
import { checkName } from "../../src/model/names.ts";
import type { CliEnvironment } from "../environment.ts";
import type { FleetCommand } from "../fleet_command.ts";
import { registryAuth } from "../registry_auth.ts";
import { createServiceSpec, referencesOf } from "../spec/create_service.ts";
import { parseEnvironmentFile, withValue } from "../spec/environment_file.ts";
import type { CreateFlags } from "../spec/service_flags.ts";
import { choice } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { addServiceFlags, LISTS } from "./flags.ts";
import { pinImage } from "./image_digest.ts";
import { resolveReferences } from "./references.ts";
import { waitForService } from "./wait.ts";

/** All but the examples and what becomes of flags behind the image: `fleet run` has its own. */
export function defineCreate(command: FleetCommand): FleetCommand {
  command.usage("[options] IMAGE [COMMAND] [ARG...]")
    .argument("<image>", "Image that the tasks run")
    .argument("[command...]", "Command and its arguments")
    .value("--name <string>", "Name (an invented one when absent)")
    .value(
      "--mode <word>",
      "replicated, global, replicated-job or global-job (default replicated)",
      choice("replicated", "global", "replicated-job", "global-job"),
    );
  for (const [name, short, what] of LISTS) command.list(`${short}--${name} <list>`, what);
  command.list("--env-file <path>", "File of environment variables");
  return addServiceFlags(command, true);
}

export const verb: Verb<CreateFlags> = {
  define(command) {
    defineCreate(command).endFlagsAtFirstArgument().examples(
      "fleet service create --name web --replicas 3 --publish 8080:80 nginx",
      "fleet service create --mode global --mount type=bind,src=/var/log,dst=/logs,ro agent:2",
      "fleet service create --detach --restart-condition none busybox sleep 60",
    );
  },
  async run(context, [image = "", ...args], flags) {
    const { client, env } = context;
    if (!isImageReference(image)) {
      throw new FleetError("invalid", `"${image}" is no image reference (name[:tag])`);
    }
    if (flags.name !== undefined) checkName("service", flags.name);
    const environment = await environmentOf(env, flags);
    const references = referencesOf(flags);
    // Everything that can be wrong with the flags is told before the first request.
    const blank = {
      networks: {},
      secrets: blankIds(references.secrets),
      configs: blankIds(references.configs),
    };
    createServiceSpec(flags, image, args, environment, blank);
    const ids = await resolveReferences(client, references);
    const draft = createServiceSpec(flags, image, args, environment, ids);
    // Said once there is a service: a refusal is the only thing to know where there is none.
    const doubts: string[] = [];
    const patient = { ...context, warn: (line: string) => void doubts.push(line) };
    const spec = flags.noResolveImage ? draft : await pinImage(patient, draft);
    const created = await client.post<{ ID: string; Warnings?: readonly string[] | null }>(
      "/services/create",
      {
        body: spec,
        headers: flags.withRegistryAuth
          ? { "X-Registry-Auth": await registryAuth(env, image) }
          : {},
      },
    );
    for (const warning of [...doubts, ...created.Warnings ?? []]) context.warn(warning);
    context.print(created.ID);
    if (!flags.detach) await waitForService(context, created.ID, { quiet: flags.quiet === true });
  },
};

function blankIds(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, ""]));
}

/** Files first, then flags, so that a flag wins. */
async function environmentOf(env: CliEnvironment, flags: CreateFlags): Promise<string[]> {
  const variable = (name: string) => env.variable(name);
  const entries: string[] = [];
  for (const path of flags.envFile ?? []) {
    const text = new TextDecoder().decode(await env.readFile(path));
    entries.push(...parseEnvironmentFile(path, text, variable));
  }
  for (const text of flags.env ?? []) entries.push(withValue(text, variable));
  return entries;
}
