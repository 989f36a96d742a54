import { FleetError, messageOf } from "../../src/base/errors.ts";
import type { ApiInfo, ApiNode } from "../api_types.ts";
import type { ApiConfig, ApiSecret, ApiService } from "../api_types.ts";
import { connect, ConnectError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import { toBase64 } from "../file_objects.ts";
import { segment } from "../query.ts";
import { withFileIds } from "../service/references.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { importLines, planImport } from "./plan.ts";
import type { ClusterPicture, FullNetwork, ImportPlan } from "./plan.ts";

interface Flags {
  readonly from?: string;
  readonly dryRun?: boolean;
  readonly newSubnets?: boolean;
  readonly secretDir?: string;
  readonly stopped?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.value("--from <host>", "Engine of a Swarm manager (unix:///path or tcp://host:port)")
      .flag("--dry-run", "Print the plan and do nothing")
      .value("--secret-dir <path>", "Folder with a file for each secret, named after it")
      .flag("--stopped", "Create replicated services with no replicas; fleet restart starts them")
      .flag("--new-subnets", "Let this cluster choose the networks' subnets")
      .addHelpText(
        "after",
        "\nThe Swarm is only read. What is here already stays as it is, so an import that was cut short\n" +
          "goes on when it is run again. A Swarm does not tell the data of its secrets: make them before\n" +
          "with fleet secret create, or give them in --secret-dir.",
      )
      .examples(
        "fleet import swarm --from unix:///var/run/docker.sock --dry-run",
        "fleet import swarm --from tcp://10.0.0.1:2375 --secret-dir ./secrets --stopped",
      );
  },
  async run(context, _args, flags) {
    if (!flags.from) throw new FleetError("invalid", "name the Swarm: --from HOST");
    const source = connect(flags.from);
    try {
      const from = await pictureOf(source, true);
      const to = await pictureOf(context.client, false);
      const secretData = await readSecrets(context, from.secrets, flags.secretDir);
      const plan = planImport(from, to, {
        secretData: new Set(secretData.keys()),
        stopped: flags.stopped === true,
        keepSubnets: flags.newSubnets !== true,
      });
      const lines = importLines(plan);
      for (const line of lines) context.print(line);
      if (lines.length === 0) context.print("everything is here already");
      if (flags.dryRun) return EXIT.ok;
      return await apply(context, plan, secretData);
    } finally {
      source.close();
    }
  },
};

/** @throws FleetError unavailable where there is no manager */
async function pictureOf(client: ApiClient, foreign: boolean): Promise<ClusterPicture> {
  const { Swarm } = await client.get<ApiInfo>("/info").catch((error: unknown) => {
    const denied = messageOf(error).startsWith("permission denied");
    if (!foreign || denied || !(error instanceof ConnectError)) throw error;
    // The sentence of the connection speaks of fleet's agent, and this is Docker's engine.
    throw new FleetError(
      "unavailable",
      `no Docker Engine answers at ${client.host}: give --from the address of one that is a manager of the Swarm, ` +
        `as in --from unix:///var/run/docker.sock`,
      { cause: error },
    );
  });
  if (!Swarm?.ControlAvailable) {
    throw new FleetError(
      "unavailable",
      foreign
        ? `the engine at ${client.host} is no manager of a Swarm: name one, as in --from tcp://10.0.0.1:2375`
        : `the node at ${client.host} is no manager: run this on a manager, or make a cluster with "fleet init"`,
    );
  }
  const [networks, secrets, configs, services, nodes] = await Promise.all([
    client.get<FullNetwork[]>("/networks"),
    client.get<ApiSecret[]>("/secrets"),
    client.get<ApiConfig[]>("/configs"),
    client.get<ApiService[]>("/services"),
    client.get<ApiNode[]>("/nodes"),
  ]);
  return { networks, secrets, configs, services, nodes };
}

async function readSecrets(
  { env }: VerbContext,
  secrets: readonly ApiSecret[],
  folder: string | undefined,
): Promise<Map<string, string>> {
  const out = new Map<string, string>();
  if (folder === undefined) return out;
  for (const { Spec: { Name = "" } } of secrets) {
    try {
      out.set(Name, toBase64(await env.readFile(`${folder}/${Name}`)));
    } catch {
      // The plan lists those that are missing.
    }
  }
  return out;
}

/** Goes on after a refusal, so that one bad service does not keep the others back. */
async function apply(
  context: VerbContext,
  plan: ImportPlan,
  secretData: ReadonlyMap<string, string>,
): Promise<number> {
  const { client } = context;
  const failures: string[] = [];
  const attempt = async (what: string, act: () => Promise<unknown>) => {
    try {
      await act();
      context.print(`done: ${what}`);
    } catch (error) {
      if (!(error instanceof FleetError)) throw error;
      failures.push(`${what}: ${messageOf(error)}`);
    }
  };
  for (const body of plan.networks) {
    await attempt(`network ${body["Name"]}`, () => client.post("/networks/create", { body }));
  }
  for (const { Spec } of plan.secrets) {
    const Data = secretData.get(Spec.Name ?? "");
    const body = { ...Spec, ...(Data === undefined ? {} : { Data }) };
    await attempt(`secret ${Spec.Name}`, () => client.post("/secrets/create", { body }));
  }
  for (const { Spec } of plan.configs) {
    await attempt(`config ${Spec.Name}`, () => client.post("/configs/create", { body: Spec }));
  }
  for (const { id, hostname, labels } of plan.nodes) {
    await attempt(`labels of node ${hostname}`, async () => {
      const node = await client.get<ApiNode>(`/nodes/${segment(id)}`);
      await client.post(`/nodes/${segment(id)}/update`, {
        query: { version: node.Version.Index },
        body: { ...node.Spec, Labels: { ...node.Spec.Labels, ...labels } },
      });
    });
  }
  for (const spec of plan.services) {
    await attempt(`service ${spec.Name}`, async () => {
      // Secrets and configs of the same name stand for those of the other cluster.
      const held = spec.TaskTemplate?.ContainerSpec?.Privileges?.CredentialSpec?.Config;
      const body = await withFileIds(
        client,
        spec,
        ({ ConfigID }) => ConfigID !== undefined && ConfigID === held,
      );
      await client.post("/services/create", { body });
    });
  }
  for (const failure of failures) context.warn(`failed: ${failure}`);
  return failures.length > 0 ? EXIT.failed : EXIT.ok;
}
