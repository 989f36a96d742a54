import { FleetError } from "../../src/base/errors.ts";
import { isImageReference } from "../../src/model/image_reference.ts";
import { registryAuth } from "../registry_auth.ts";
import { withValue } from "../spec/environment_file.ts";
import type { UpdateFlags } from "../spec/service_flags.ts";
import { updateReferencesOf, updateServiceSpec } from "../spec/update_service.ts";
import type { Verb } from "../verb.ts";
import { addServiceFlags, LISTS, REMOVAL_KEYS } from "./flags.ts";
import { pinImage } from "./image_digest.ts";
import { resolveReferences } from "./references.ts";
import { getService, putService } from "./shared.ts";
import { waitForService } from "./wait.ts";

export const verb: Verb<UpdateFlags> = {
  define(command) {
    command.usage("[options] SERVICE").argument("<service>", "Name or id")
      .value("--image <string>", "Image that the tasks run")
      .value("--args <command>", "Arguments of the command, as one string")
      .flag("--force", "Replace the tasks even if nothing else changes")
      .flag("--rollback", "Go back to the previous spec");
    for (const [name, , what] of LISTS) {
      command.list(`--${name}-add <list>`, `Add or change: ${what}`)
        .list(`--${name}-rm <list>`, `Remove by ${REMOVAL_KEYS[name]}`);
    }
    addServiceFlags(command, false).examples(
      "fleet service update --image nginx:1.27 --update-order start-first web",
      "fleet service update --env-add MODE=fast --publish-rm 80 web",
      "fleet service update --force web",
    );
  },
  async run(context, [reference = ""], flags) {
    checkFlags(flags);
    const service = await getService(context, reference);
    if (flags.rollback) {
      await putService(context, service, service.Spec, { query: { rollback: "previous" } });
    } else {
      const { env } = context;
      const resolved = flags.envAdd
        ? {
          ...flags,
          envAdd: flags.envAdd.map((text) => withValue(text, (name) => env.variable(name))),
        }
        : flags;
      const ids = await resolveReferences(context.client, updateReferencesOf(resolved));
      const draft = updateServiceSpec(service.Spec, resolved, ids);
      const pin = flags.image !== undefined && !flags.noResolveImage;
      const spec = pin ? await pinImage(context, draft) : draft;
      const image = spec.TaskTemplate?.ContainerSpec?.Image ?? "";
      await putService(context, service, spec, {
        query: flags.withRegistryAuth ? {} : { registryAuthFrom: "spec" },
        headers: flags.withRegistryAuth
          ? { "X-Registry-Auth": await registryAuth(env, image) }
          : {},
      });
    }
    context.print(reference);
    if (flags.detach) return;
    await waitForService(context, service.ID, {
      quiet: flags.quiet === true,
      rollback: flags.rollback === true,
    });
  },
};

function checkFlags(flags: UpdateFlags): void {
  const { rollback, detach: _detach, quiet: _quiet, ...others } = flags;
  if (rollback && Object.keys(others).length > 0) {
    throw new FleetError("invalid", "--rollback goes with no other flag but --detach and --quiet");
  }
  if (flags.image !== undefined && !isImageReference(flags.image)) {
    throw new FleetError("invalid", `"${flags.image}" is no image reference (name[:tag])`);
  }
  // A dry run over nothing: what is wrong with the flags is told before the first request.
  const { replicas: _replicas, maxConcurrent: _maxConcurrent, ...rest } = flags;
  const references = updateReferencesOf(rest);
  const blank = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, ""]));
  updateServiceSpec({}, rest, {
    networks: {},
    secrets: blank(references.secrets),
    configs: blank(references.configs),
  });
}
