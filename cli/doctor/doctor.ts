import { FleetError, messageOf } from "../../src/base/errors.ts";
import type { ApiInfo, ApiNode, ApiService, ApiTask } from "../api_types.ts";
import { ConnectError } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import { settledNodes } from "../node/settled.ts";
import { choice } from "../spec/values.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { nodeNameOf, nodeStates, quorum, services, versions } from "./cluster.ts";
import type { Members } from "./cluster.ts";
import { findingsText, ok, trouble, warning } from "./findings.ts";
import type { Finding } from "./findings.ts";
import { doctorIngress } from "./ingress.ts";
import { examine } from "./health.ts";
import type { Health } from "./health.ts";
import { paths } from "./paths.ts";

interface Flags {
  readonly format?: string;
  readonly local?: boolean;
  readonly quiet?: boolean;
}

const DATA_PORT = 4789;

export const verb: Verb<Flags> = {
  define(command) {
    command
      .argument("[ingress]", "Instead: try every published port on every node")
      .flag("--local", "Look at this node only")
      .flag("-q, --quiet", "Show only what is not fine")
      .value("--format <string>", "text (default) or json", choice("text", "json"))
      .addHelpText(
        "after",
        "\nLooks at engines, kernels, disks, clocks, certificates, the managers' quorum, versions, services and\n" +
          "pending tasks, and tries the ways between all nodes: TCP to the managers, UDP at full size between\n" +
          "every two nodes. Changes nothing. The exit code is 1 when there is an error.",
      )
      .examples(
        "fleet doctor",
        "fleet doctor ingress",
        "fleet doctor --quiet",
        "fleet doctor --format json",
      );
  },
  async run(context, [subject], flags) {
    if (subject === "ingress") return await doctorIngress(context, flags.format === "json");
    if (subject !== undefined) {
      throw new FleetError("invalid", `doctor knows no "${subject}"; leave it out, or say ingress`);
    }
    const findings = await look(context, flags.local ?? false);
    const shown = findings.filter(({ level }) => !flags.quiet || level !== "ok");
    context.env.stdout.write(
      flags.format === "json"
        ? `${JSON.stringify(shown, null, 2)}\n`
        : findingsText(findings, flags.quiet),
    );
    return findings.some(({ level }) => level === "error") ? EXIT.failed : EXIT.ok;
  },
};

async function look(context: VerbContext, local: boolean): Promise<Finding[]> {
  const { client, env } = context;
  const answer = await client.get<ApiInfo>("/info").catch((error: unknown) => {
    if (error instanceof ConnectError) return error;
    return {} as ApiInfo;
  });
  if (answer instanceof ConnectError) {
    return [
      trouble(
        "this node",
        messageOf(answer),
        "systemctl start fleet; its log: journalctl -u fleet",
      ),
    ];
  }
  const { Swarm, Name } = answer;
  const state = Swarm?.LocalNodeState ?? "inactive";
  const here = Name ?? "this node";
  const found: Finding[] = [];
  if (state === "error") {
    found.push(trouble(here, Swarm?.Error ?? "its data cannot be used", "fleet recover"));
  }
  if (state === "locked") found.push(trouble(here, "this manager is locked", "fleet unlock"));
  if (local || !Swarm?.ControlAvailable) {
    found.push(...await ask(env, here, () => client.get<Health>("/fleet/self/health")).findings);
    if (Swarm?.LocalNodeState === "inactive") found.push(ok(here, "it is in no cluster"));
    else if (!local && state === "active") {
      found.push(ok(here, "it is a worker: run this on a manager to see all nodes"));
    }
    return found;
  }
  const info = await client.get<Members>("/fleet/info");
  const members = quorum(info);
  if (members.level === "error") {
    // Nobody leads: what this node knows of the others is old, and it cannot ask them.
    const others = (await client.get<ApiNode[]>("/nodes")).filter(({ ID }) => ID !== Swarm.NodeID);
    return [
      ...found,
      members,
      ...await ask(env, here, () => client.get<Health>("/fleet/self/health")).findings,
      ...others.map((node) =>
        warning(nodeNameOf(node), "not asked: the quorum is lost", "fleet recover --dry-run")
      ),
    ];
  }
  const nodes = await settledNodes(context);
  const [list, tasks] = await Promise.all([
    client.get<ApiService[]>("/services", { query: { status: true } }),
    client.get<ApiTask[]>("/tasks"),
  ]);
  found.push(members, ...nodeStates(nodes));
  const ready = nodes.filter(({ Status }) => Status.State === "ready");
  const asked = ready.map((node) => ({
    node,
    ...ask(env, nodeNameOf(node), () => client.get<Health>(`/fleet/nodes/${node.ID}/health`)),
  }));
  const seen = new Map<string, string>();
  const mtus = new Map<string, number>();
  for (const { node, findings, health } of asked) {
    found.push(...await findings);
    const said = await health;
    if (said) seen.set(nodeNameOf(node), said.Version);
    if (said?.Mtu) mtus.set(node.ID, said.Mtu);
  }
  found.push(...versions(seen), ...services(list, tasks, env.now()));
  const dataPort = Swarm.Cluster?.DataPathPort || DATA_PORT;
  found.push(...await paths(client, nodes, { dataPort, mtus }));
  return found;
}

function ask(env: VerbContext["env"], name: string, get: () => Promise<Health>) {
  const started = env.now();
  const answer = get().then((health) => ({ health, atMs: (started + env.now()) / 2 }));
  return {
    health: answer.then(({ health }) => health, () => undefined),
    findings: answer.then(
      ({ health, atMs }) => examine(name, health, atMs),
      (error): Finding[] => [
        trouble(
          name,
          `does not answer: ${messageOf(error)}`,
          `is its agent of this version? systemctl restart fleet on ${name}`,
        ),
      ],
    ),
  };
}
