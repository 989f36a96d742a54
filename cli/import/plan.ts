import { STACK_LABEL } from "../../src/core/stack/naming.ts";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import type { ApiConfig, ApiNode, ApiSecret, ApiService } from "../api_types.ts";
import { stoppedSpec } from "../everyday/stopped.ts";

/** A network as GET /networks has it, with what creating it anew takes. */
export interface FullNetwork {
  readonly Name: string;
  readonly Id: string;
  readonly Scope?: string;
  readonly Driver?: string;
  readonly EnableIPv6?: boolean;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { readonly Network?: string };
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Config?: readonly { readonly Subnet?: string }[] | null;
  };
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

/** What is read of a cluster, of the one that is left and of the one that is moved to. */
export interface ClusterPicture {
  readonly networks: readonly FullNetwork[];
  readonly secrets: readonly ApiSecret[];
  readonly configs: readonly ApiConfig[];
  readonly services: readonly ApiService[];
  readonly nodes: readonly ApiNode[];
}

export interface ImportOptions {
  /** Names of secrets whose data is at hand. */
  readonly secretData: ReadonlySet<string>;
  /** Replicated services are created with no replicas; `fleet restart` brings them back. */
  readonly stopped: boolean;
  /** Networks get the subnets that they have now. */
  readonly keepSubnets: boolean;
}

export interface NodeChange {
  readonly id: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What an import does, and what it cannot do. */
export interface ImportPlan {
  readonly networks: readonly Readonly<Record<string, unknown>>[];
  readonly secrets: readonly ApiSecret[];
  readonly configs: readonly ApiConfig[];
  /** Networks, secrets and configs by name; their ids are another cluster's. */
  readonly services: readonly ServiceSpec[];
  readonly nodes: readonly NodeChange[];
  /** Secrets that must be made by hand, since no Swarm tells their data: with the services that wait. */
  readonly missingSecrets: ReadonlyMap<string, readonly string[]>;
  /** What stays behind, and why. */
  readonly leftOut: readonly string[];
  /** Names that are there already. */
  readonly present: readonly string[];
}

/** Networks that every Swarm has. */
const OWN_NETWORKS = new Set(["ingress", "docker_gwbridge"]);
/** The number of the overlay in its cluster; another cluster gives its own. */
const VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list";

/** What of `from` is not in `to` yet, and how it gets there. Running it again does what is left. */
export function planImport(
  from: ClusterPicture,
  to: ClusterPicture,
  options: ImportOptions,
): ImportPlan {
  const present: string[] = [];
  const leftOut: string[] = [];
  const fresh = <T>(
    kind: string,
    objects: readonly T[],
    there: readonly T[],
    name: (o: T) => string,
  ) => {
    const names = new Set(there.map(name));
    const missing = objects.filter((object) => {
      if (!names.has(name(object))) return true;
      present.push(`${kind} ${name(object)}`);
      return false;
    });
    return missing.sort((a, b) => name(a) < name(b) ? -1 : 1);
  };
  const networks = fresh(
    "network",
    from.networks.filter((network) => isClusters(network)),
    to.networks,
    ({ Name }) => Name,
  ).flatMap((network) => {
    if (network.ConfigFrom?.Network || (network.Driver ?? "overlay") !== "overlay") {
      leftOut.push(`network ${network.Name}: driver ${network.Driver} is set up node by node`);
      return [];
    }
    return [networkRequest(network, options.keepSubnets)];
  });
  const named = (object: { readonly Spec: { readonly Name?: string } }) => object.Spec.Name ?? "";
  const newSecrets = fresh("secret", from.secrets, to.secrets, named);
  const secrets = newSecrets.filter((secret) =>
    secret.Spec.Driver !== undefined || options.secretData.has(named(secret))
  );
  const missing = new Set(newSecrets.filter((each) => !secrets.includes(each)).map(named));
  const waiting = new Map<string, string[]>([...missing].map((name) => [name, []]));
  const services: ServiceSpec[] = [];
  for (const { Spec } of fresh("service", from.services, to.services, named)) {
    const why = unsupported(Spec);
    if (why !== undefined) {
      leftOut.push(`service ${Spec.Name}: ${why}`);
      continue;
    }
    const needs = (Spec.TaskTemplate?.ContainerSpec?.Secrets ?? [])
      .map((use) => use.SecretName ?? "").filter((name) => missing.has(name));
    for (const name of needs) waiting.get(name)?.push(Spec.Name ?? "");
    if (needs.length === 0) services.push(serviceSpec(Spec, from, options.stopped));
  }
  return {
    networks,
    secrets,
    configs: fresh("config", from.configs, to.configs, named),
    services,
    nodes: nodeChanges(from.nodes, to.nodes, leftOut),
    missingSecrets: waiting,
    leftOut,
    present,
  };
}

function isClusters(network: FullNetwork): boolean {
  return network.Scope === "swarm" && !network.Ingress && !OWN_NETWORKS.has(network.Name);
}

function networkRequest(network: FullNetwork, keepSubnet: boolean): Record<string, unknown> {
  const { [VNI_OPTION]: _, ...options } = network.Options ?? {};
  const subnets = (network.IPAM?.Config ?? []).flatMap(({ Subnet }) => Subnet ? [{ Subnet }] : []);
  return {
    Name: network.Name,
    Driver: "overlay",
    Internal: network.Internal ?? false,
    Attachable: network.Attachable ?? false,
    ...(network.EnableIPv6 ? { EnableIPv6: true } : {}),
    Options: options,
    Labels: network.Labels ?? {},
    ...(keepSubnet && subnets.length > 0 ? { IPAM: { Driver: "default", Config: subnets } } : {}),
  };
}

function unsupported(spec: ServiceSpec): string | undefined {
  const runtime = spec.TaskTemplate?.Runtime;
  if (runtime !== undefined && runtime !== "" && runtime !== "container") {
    return `it installs a ${runtime} on the engines; install it on each node`;
  }
  if (spec.TaskTemplate?.ContainerSpec?.Mounts?.some(({ Type }) => Type === "cluster")) {
    return "it mounts a cluster volume (CSI)";
  }
  return undefined;
}

/** The spec with networks by name and without ids, which are put in when everything exists. */
function serviceSpec(spec: ServiceSpec, from: ClusterPicture, stopped: boolean): ServiceSpec {
  const names = new Map(from.networks.map(({ Id, Name }) => [Id, Name]));
  const task = spec.TaskTemplate ?? {};
  const networks = (task.Networks ?? spec.Networks ?? []).map((use) => ({
    ...use,
    Target: names.get(use.Target ?? "") ?? use.Target ?? "",
  }));
  const { Networks: _, ...rest } = spec;
  const next: ServiceSpec = { ...rest, TaskTemplate: { ...task, Networks: networks } };
  return stopped && next.Mode?.Replicated ? stoppedSpec(next) ?? next : next;
}

/** Labels go to the node of the same host name; what differs there already stays. */
function nodeChanges(
  from: readonly ApiNode[],
  to: readonly ApiNode[],
  leftOut: string[],
): NodeChange[] {
  const out: NodeChange[] = [];
  for (const node of from) {
    const labels = node.Spec.Labels ?? {};
    if (Object.keys(labels).length === 0) continue;
    const hostname = node.Description?.Hostname ?? "";
    const twins = to.filter(({ Description }) => Description?.Hostname === hostname);
    if (twins.length !== 1) {
      const text = Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",");
      const why = twins.length === 0
        ? "no such node has joined yet"
        : "several nodes have that name";
      leftOut.push(`labels ${text} of node ${hostname}: ${why}`);
      continue;
    }
    const [twin] = twins;
    const wanted = Object.entries(labels).filter(([key]) => twin!.Spec.Labels?.[key] === undefined);
    if (wanted.length > 0) out.push({ id: twin!.ID, hostname, labels: Object.fromEntries(wanted) });
  }
  return out.sort((a, b) => a.hostname < b.hostname ? -1 : 1);
}

/** The plan in lines. */
export function importLines(plan: ImportPlan): string[] {
  const stacks = new Map<string, number>();
  for (const { Labels } of plan.services) {
    const stack = Labels?.[STACK_LABEL];
    if (stack !== undefined) stacks.set(stack, (stacks.get(stack) ?? 0) + 1);
  }
  const counted = (count: number) => count === 1 ? "1 service" : `${count} services`;
  return [
    ...plan.networks.map(({ Name }) => `create network ${Name}`),
    ...plan.secrets.map(({ Spec }) => `create secret ${Spec.Name}`),
    ...plan.configs.map(({ Spec }) => `create config ${Spec.Name}`),
    ...plan.services.map(({ Name }) => `create service ${Name}`),
    ...[...stacks].map(([stack, count]) => `stack ${stack}: ${counted(count)} of the above`),
    ...plan.nodes.map(({ hostname, labels }) =>
      `label node ${hostname}: ${Object.entries(labels).map((pair) => pair.join("=")).join(",")}`
    ),
    ...plan.present.map((what) => `${what} is there already`),
    ...[...plan.missingSecrets].map(([name, services]) => {
      const wait = services.length === 0 ? "nothing uses it" : `${services.join(", ")} wait for it`;
      return `secret ${name} must be made by hand, no Swarm tells its data: ${wait}`;
    }),
    ...plan.leftOut.map((what) => `left out: ${what}`),
  ];
}
