import { FleetError, kindOf, messageOf } from "../../src/base/errors.ts";
import { desiredStack } from "../../src/core/stack/desired.ts";
import { checkStackName } from "../../src/core/stack/naming.ts";
import { planStack, withResolvedImage } from "../../src/core/stack/plan.ts";
import type {
  ObservedStack,
  ResolveImage,
  ServicePlan,
  StackPlan,
} from "../../src/core/stack/plan.ts";
import { planLines } from "../../src/core/stack/plan_text.ts";
import type { Policy } from "../../src/model/cluster.ts";
import { checkHostAccess, devicesOf, isPrivileged } from "../../src/model/host_access.ts";
import { parseDuration } from "../../src/base/duration.ts";
import type { ApiClient } from "../client.ts";
import { segment } from "../query.ts";
import { registryAuth } from "../registry_auth.ts";
import { pinImage } from "../service/image_digest.ts";
import { withFileIds } from "../service/references.ts";
import { choice } from "../spec/values.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { observeStack, prepareFiles, requireManager } from "./observe.ts";
import type { PreparedFile } from "./observe.ts";
import { addComposeFlags, readCompose } from "./read_compose.ts";
import type { ComposeFlags } from "./read_compose.ts";
import { waitForStack } from "./wait.ts";
import type { AwaitedService } from "./wait.ts";

export interface DeployFlags extends ComposeFlags {
  readonly detach?: boolean;
  readonly dryRun?: boolean;
  readonly prune?: boolean;
  readonly quiet?: boolean;
  readonly resolveImage?: ResolveImage;
  readonly timeout?: number;
  readonly withRegistryAuth?: boolean;
}

/** A deployment that has not settled by then is told as failed, unless --timeout says otherwise. */
const DEFAULT_TIMEOUT_NS = 600 * 1e9;

export const verb: Verb<DeployFlags> = {
  define(command) {
    command.usage("[options] [STACK]").argument("[stack]", "Name (default the file's own name)");
    addComposeFlags(command)
      .flag("-d, --detach", "Do not wait until the services have settled")
      .flag("--dry-run", "Show what would change, and change nothing")
      .flag("--prune", "Remove services that are not in the file any more")
      .flag("-q, --quiet", "Print nothing but problems")
      .value(
        "--resolve-image <word>",
        "When to ask the registry for digests: always, changed or never (default always)",
        choice("always", "changed", "never"),
      )
      .value("--timeout <duration>", "Time to wait for the services (default 10m)", parseDuration)
      .flag("--with-registry-auth", "Send the registry's login to the nodes")
      .examples(
        "fleet stack deploy -c compose.yaml shop",
        "fleet stack deploy -c compose.yaml -c production.yaml --prune shop",
        "fleet stack deploy --dry-run -c compose.yaml shop",
      );
  },
  run: (context, [name], flags) => deployStack(context, name, flags),
};

/** Deploys, or with `dryRun` only says what would be done. */
export async function deployStack(
  context: VerbContext,
  name: string | undefined,
  flags: DeployFlags,
): Promise<number | void> {
  if (name !== undefined) checkStackName(name);
  const { file, lookup } = await readCompose(context, flags, { stack: name });
  const stack = name ?? file.name;
  if (stack === undefined) {
    throw new FleetError("invalid", "name the stack, or write name: at the top of the file");
  }
  checkStackName(stack);
  const desired = desiredStack(stack, file);
  await requireManager(context.client);
  const files = await prepareFiles(context, desired, lookup);
  const observed = await observeStack(context, desired, files);
  const draft = planStack(desired, observed, flags.resolveImage ?? "always");
  const plan = await withImages(context, draft, observed);
  await checkPolicy(context.client, plan);
  if (flags.dryRun) {
    for (const line of planLines(plan, flags.prune === true)) context.print(line);
    return;
  }
  const services = await apply(context, plan, files, flags);
  if (flags.detach) return;
  return await waitForStack(context, stack, services, {
    quiet: flags.quiet === true,
    timeoutMs: (flags.timeout ?? DEFAULT_TIMEOUT_NS) / 1e6,
  });
}

/** What the cluster's policy refuses, before anything is created for it. @throws FleetError forbidden */
async function checkPolicy(client: ApiClient, plan: StackPlan): Promise<void> {
  let policy: Policy | undefined;
  for (const { name, spec, step } of plan.services) {
    const container = spec.TaskTemplate?.ContainerSpec ?? {};
    const asks = isPrivileged(container) || devicesOf(container).length > 0;
    if (step === "none" || !asks) continue;
    policy ??= await client.get<Policy>("/fleet/policy");
    try {
      checkHostAccess(container, policy);
    } catch (error) {
      throw new FleetError(kindOf(error), `service ${name}: ${messageOf(error)}`);
    }
  }
}

/** Docker's order: prune, networks, secrets, configs, services. @returns the services by name */
async function apply(
  context: VerbContext,
  plan: StackPlan,
  files: readonly PreparedFile[],
  flags: DeployFlags,
): Promise<Map<string, AwaitedService>> {
  const { client } = context;
  const say = (line: string) => flags.quiet ? undefined : context.print(line);
  for (const { ID, Spec } of flags.prune ? plan.gone : []) {
    say(`Removing service ${Spec.Name}`);
    await client.remove(`/services/${segment(ID)}`);
  }
  for (const network of plan.createNetworks) {
    say(`Creating network ${network.Name}`);
    await client.post("/networks/create", { body: network });
  }
  const own = plan.services.flatMap(({ current }) => current ? [current.ID] : []);
  for (const file of files) await applyFile(context, file, own, say);
  const services = new Map<string, AwaitedService>();
  for (const service of plan.services) {
    services.set(service.name, await applyService(context, service, flags, say));
  }
  return services;
}

async function applyFile(
  { client }: VerbContext,
  { kind, name, step, data, labels, current, entry }: PreparedFile,
  own: readonly string[],
  say: (line: string) => void,
): Promise<void> {
  const spec = {
    Name: name,
    Labels: labels,
    ...(data === undefined ? {} : { Data: data }),
    ...(entry.driver === undefined
      ? {}
      : { Driver: { Name: entry.driver, Options: entry.driver_opts ?? {} } }),
    ...(entry.template_driver === undefined ? {} : { Templating: { Name: entry.template_driver } }),
  };
  if (step === "create") {
    say(`Creating ${kind} ${name}`);
    await client.post(`/${kind}s/create`, { body: spec });
  } else if (step === "labels") {
    await client.post(`/${kind}s/${segment(current!.ID)}/update`, {
      query: { version: current!.Version.Index },
      body: { ...current!.Spec, ...spec },
    });
  } else if (step === "rotate") {
    say(`Updating ${kind} ${name} (new version)`);
    // The stack's own services get the new version with the rest of their update.
    await client.post(`/fleet/${kind}s/${segment(current!.ID)}/rotate`, {
      query: { version: current!.Version.Index },
      body: { Data: data, Labels: labels, Except: own },
    });
  }
}

async function applyService(
  context: VerbContext,
  plan: ServicePlan,
  flags: DeployFlags,
  say: (line: string) => void,
): Promise<AwaitedService> {
  const { client, env } = context;
  const { current } = plan;
  const spec = await withFileIds(
    context.client,
    plan.spec,
    ({ Runtime }) => Boolean(Runtime),
  );
  const image = spec.TaskTemplate?.ContainerSpec?.Image ?? "";
  const headers: Record<string, string> = flags.withRegistryAuth
    ? { "X-Registry-Auth": await registryAuth(env, image) }
    : {};
  if (!current) {
    say(`Creating service ${plan.name}`);
    const created = await client.post<{ ID: string; Warnings?: readonly string[] | null }>(
      "/services/create",
      { body: spec, headers },
    );
    for (const warning of created.Warnings ?? []) context.warn(warning);
    return { id: created.ID, changed: true };
  }
  if (plan.step === "none" && !flags.withRegistryAuth) {
    say(`Service ${plan.name} is unchanged`);
    return { id: current.ID, changed: false };
  }
  say(`Updating service ${plan.name} (id: ${current.ID})`);
  const updated = await client.post<{ Warnings?: readonly string[] | null } | undefined>(
    `/services/${segment(current.ID)}/update`,
    {
      query: {
        version: current.Version.Index,
        ...(flags.withRegistryAuth ? {} : { registryAuthFrom: "spec" }),
      },
      headers,
      body: spec,
    },
  );
  for (const warning of updated?.Warnings ?? []) context.warn(warning);
  return { id: current.ID, changed: true };
}

/** The plan once registries have been asked: a moved tag replaces tasks too. */
async function withImages(
  context: VerbContext,
  plan: StackPlan,
  observed: ObservedStack,
): Promise<StackPlan> {
  const services: ServicePlan[] = [];
  for (const service of plan.services) {
    services.push(
      service.resolveImage
        ? withResolvedImage(service, await pinImage(context, service.spec), observed)
        : service,
    );
  }
  return { ...plan, services };
}
