import type { Hono } from "hono";
import { nodeName } from "../../model/node.ts";
import type { Node } from "../../model/node.ts";
import { sourceOf } from "../../model/port_source.ts";
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
    const results = new Array<{ OK: boolean; Reason: string }>(kept.length);
    let next = 0;
    await Promise.all(Array.from({ length: PARALLEL }, async () => {
      for (let i = next++; i < kept.length; i = next++) {
        results[i] = await look(kept[i]!, probe, c.req.raw.signal);
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

function gather(view: View): { nodes: readonly Node[]; ports: readonly PublishedPort[] } {
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
      });
    }
  }
  return { nodes, ports: ports.sort((a, b) => a.published - b.published) };
}

async function look(
  { node, port }: Cell,
  probe: ProbePort,
  signal: AbortSignal,
): Promise<{ OK: boolean; Reason: string }> {
  const no = (Reason: string) => ({ OK: false, Reason });
  const { published, protocol, service } = port;
  const address = node.Status.Addr ?? "";
  if (node.Status.State !== "ready") return no(`the node is ${node.Status.State}`);
  const told =
    (node.Description?.Overlay?.Problems ?? []).find((problem) =>
      problem.startsWith(`port ${published}/${protocol} `) || problem.includes("network ingress")
    ) ?? node.Description?.Overlay?.Problem;
  if (port.servedBy.size === 0) return no(`no task of ${service} runs`);
  if (port.nodeLocal && !port.servedBy.has(node.ID)) {
    return no(`no task of ${service} runs on this node, and its source is node-local`);
  }
  // A datagram that nobody answers tells nothing; what the node says of itself does.
  if (protocol !== "tcp") {
    return told ? no(told) : { OK: true, Reason: `${protocol}: nothing wrong is known; not tried` };
  }
  const result = await probe(address, published, signal);
  if (result === "open") {
    return told?.startsWith(`port ${published}/`) ? no(told) : { OK: true, Reason: "" };
  }
  if (told) return no(told);
  if (result === "silent") {
    return no(`no answer from ${address}: is TCP ${published} blocked by a firewall on the way?`);
  }
  if (result === "unreachable") return no(`${address} cannot be reached from here`);
  return no(
    "refused: the tasks do not listen at their port, or the node has not heard of them yet",
  );
}
