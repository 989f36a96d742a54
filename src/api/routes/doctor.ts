import type { Hono } from "hono";
import { nodeName } from "../../model/node.ts";
import type { Node } from "../../model/node.ts";
import { sourceOf } from "../../model/port_source.ts";
import { modeOf, replicasOf } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { compareStates } from "../../model/task_state.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";

/** How a connection to a port went: `open`, or why it is not. */
export type ProbePort = (
  address: string,
  port: number,
  signal: AbortSignal,
) => Promise<"open" | "refused" | "silent" | "unreachable">;

/** Connections tried at once. */
const PARALLEL = 32;
/** More cells than this are not looked at; who has so many asks for one service. */
const MAX_CELLS = 5_000;

interface PublishedPort {
  readonly service: string;
  readonly serviceId: string;
  readonly protocol: string;
  readonly published: number;
  readonly nodeLocal: boolean;
  /** Nodes with tasks that serve. */
  readonly servedBy: ReadonlySet<string>;
  /** Whether there shall be tasks at all. */
  readonly wanted: boolean;
}

interface Cell {
  readonly node: Node;
  readonly port: PublishedPort;
}

/** Tries every published port on every node, from this manager's node, and says why where it fails. */
export function doctorRoutes(app: Hono, backend: Backend, probe: ProbePort): void {
  app.get("/fleet/doctor/ingress", async (c) => {
    const { value } = await backend.read(gather, c.req.raw.signal);
    const cells = value.nodes.flatMap((node) => value.ports.map((port) => ({ node, port })));
    const kept = cells.slice(0, MAX_CELLS);
    const results = new Array<Verdict>(kept.length);
    let next = 0;
    await Promise.all(Array.from({ length: PARALLEL }, async () => {
      for (let i = next++; i < kept.length; i = next++) {
        results[i] = await look(kept[i]!, value.ingress, probe, c.req.raw.signal);
      }
    }));
    return c.json({
      Skipped: cells.length - kept.length,
      Nodes: value.nodes.map((node) => ({
        ID: node.ID,
        Name: nodeName(node),
        Addr: node.Status.Addr ?? "",
        Mesh: node.Description?.Overlay?.Mesh ?? "",
        Problems: node.Description?.Overlay?.Problems ?? [],
      })),
      Results: kept.map(({ node, port }, i) => ({
        NodeID: node.ID,
        Service: port.service,
        Protocol: port.protocol,
        PublishedPort: port.published,
        ...results[i]!,
      })),
    });
  });
}

function gather(
  view: View,
): { nodes: readonly Node[]; ports: readonly PublishedPort[]; ingress: string } {
  const ingress = [...view.all("network")].find(({ Spec }) => Spec.Ingress)?.Spec.Name ?? "";
  const nodes = [...view.all("node")].sort((a, b) => nodeName(a) < nodeName(b) ? -1 : 1);
  const ports: PublishedPort[] = [];
  for (const service of view.all("service")) {
    if (service.PendingDelete) continue;
    const serving = [...view.tasksOfService(service.ID)].filter((task) =>
      task.Status.State === "running" && compareStates(task.DesiredState, "shutdown") < 0
    );
    for (const port of service.Endpoint?.Ports ?? []) {
      if ((port.PublishMode ?? "ingress") !== "ingress" || !port.PublishedPort) continue;
      ports.push({
        service: service.Spec.Name ?? service.ID,
        serviceId: service.ID,
        protocol: port.Protocol ?? "tcp",
        published: port.PublishedPort,
        nodeLocal: sourceOf(service.Spec, port.PublishedPort) === "node-local",
        servedBy: new Set(serving.map(({ NodeID = "" }) => NodeID)),
        wanted: isWanted(service),
      });
    }
  }
  return { nodes, ports: ports.sort((a, b) => a.published - b.published), ingress };
}

/** Jobs come to an end, and who scaled to 0 wants nobody. */
function isWanted({ Spec }: Service): boolean {
  const mode = modeOf(Spec);
  return mode === "global" || (mode === "replicated" && replicasOf(Spec) > 0);
}

/**
 * `failed` asks for somebody; `idle` is as it shall be: the node has nobody to answer with. What is `untried`
 * may be well.
 */
type Outcome = "open" | "failed" | "idle" | "untried";

interface Verdict {
  readonly State: Outcome;
  /** Whether nobody has to do anything. */
  readonly OK: boolean;
  readonly Reason: string;
}

function verdict(State: Outcome, Reason = ""): Verdict {
  return { State, OK: State !== "failed", Reason };
}

async function look(
  { node, port }: Cell,
  ingress: string,
  probe: ProbePort,
  signal: AbortSignal,
): Promise<Verdict> {
  const { published, protocol, service } = port;
  const address = node.Status.Addr ?? "";
  if (node.Status.State !== "ready") return verdict("failed", `the node is ${node.Status.State}`);
  const { ofPort, ofNode } = toldBy(node, port, ingress);
  if (port.servedBy.size === 0) {
    return port.wanted
      ? verdict("failed", `no task of ${service} runs`)
      : verdict("idle", `no task of ${service} shall run`);
  }
  if (port.nodeLocal && !port.servedBy.has(node.ID)) {
    return verdict(
      "idle",
      `no task of ${service} runs on this node, and its source is node-local`,
    );
  }
  const told = ofPort ?? ofNode;
  // A datagram that nobody answers tells nothing; what the node says of itself does.
  if (protocol !== "tcp") {
    if (told && (told !== ofPort || !isIpv6Only(told))) return verdict("failed", told);
    return verdict("untried", told ?? `${protocol}: nothing wrong is known; not tried`);
  }
  const result = await probe(address, published, signal);
  if (result === "open") {
    // Over IPv4 it is answered, and that was tried.
    return ofPort === undefined || isIpv6Only(ofPort)
      ? verdict("open", ofPort)
      : verdict("failed", ofPort);
  }
  if (told) return verdict("failed", told);
  if (result === "silent") {
    return verdict(
      "failed",
      `no answer from ${address}: is TCP ${published} blocked by a firewall on the way?`,
    );
  }
  if (result === "unreachable") return verdict("failed", `${address} cannot be reached from here`);
  return verdict(
    "failed",
    "refused: the tasks do not listen at their port, or the node has not heard of them yet",
  );
}

const isIpv6Only = (told: string) => told.includes(" over IPv6 ");

/** What the node says of the port itself, and of what all ports need: the mesh's network, or the whole node. */
function toldBy(
  { Description }: Node,
  { published, protocol, service }: PublishedPort,
  ingress: string,
) {
  const problems = Description?.Overlay?.Problems ?? [];
  const ofNetwork = problems.find((problem) =>
    problem.startsWith(`network ${ingress}:`) || problem.startsWith(`network ${ingress} `)
  );
  return {
    ofPort: problems.find((problem) =>
      problem.startsWith(`port ${published}/${protocol} of service ${service} `)
    ),
    ofNode: ofNetwork ?? problems.find((problem) => !/^(port \d|network )/.test(problem)) ??
      Description?.Overlay?.Problem,
  };
}
