import { FleetError } from "../../base/errors.ts";
import { findNetwork } from "../../core/control/networks.ts";
import { rolesOf } from "../../core/pki/route_roles.ts";
import { bool, decode, list, obj, opt, str } from "../../model/json.ts";
import type { Infer } from "../../model/json.ts";
import { withoutLength } from "../../model/network.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Manager } from "../manager/manager.ts";
import type { RouteTable, RpcContext } from "../rpc.ts";
import { callLeader } from "./leader_dial.ts";
import type { Running } from "./running.ts";

/** An attachment that has no address and no network on its node after this long is given up. */
const READY_TIMEOUT_MS = 30_000;
/** A place that was given before is there already: only its address may have to be found. */
const START_TIMEOUT_MS = 5_000;
/** On a network without a free address: what containers had that were removed just now comes free within this. */
const FULL_TIMEOUT_MS = 2_000;
/** A worker waits this much longer for the leader's answer, which says more than that none came. */
const ANSWER_MARGIN_MS = 5_000;

/** What a container outside any service wants from a network of the cluster. */
export const AttachRequest = obj({
  networkId: str,
  aliases: list(str),
  /** The container's name, when it is known already. */
  name: opt(str),
  /** Of a container that exists already. */
  containerId: opt(str),
  address: opt(str),
  /** The container's own name servers. */
  nameservers: opt(list(str)),
});
export type AttachRequest = Infer<typeof AttachRequest>;

/** Attachments that a container has on a network: by their ids, or by the container's. */
export const ReleaseRequest = obj({
  networkId: opt(str),
  containerId: opt(str),
  taskIds: list(str),
});
export type ReleaseRequest = Infer<typeof ReleaseRequest>;

/** A container that is about to start or has started, by its id or those of its attachments. */
export const StartedRequest = obj({ containerId: opt(str), taskIds: list(str) });
export type StartedRequest = Infer<typeof StartedRequest>;

/** An attachment whose container does not run. */
export const StoppedRequest = obj({ taskId: str, keepAddress: bool });
export type StoppedRequest = Infer<typeof StoppedRequest>;

/** A container's place on a network: the attachment's id, its address, and where names are answered. */
export interface Place {
  readonly taskId: string;
  readonly address: string;
  readonly mac: string | undefined;
  readonly gateway: string;
}

/** The same, and on which network that is. */
export interface PlaceAgain extends Place {
  readonly networkId: string;
  readonly network: string;
}

/** A network of the cluster, as far as somebody who joins it has to know it. */
export interface FoundNetwork {
  readonly id: string;
  readonly name: string;
}

/**
 * Places on attachable networks for containers that a person runs on this node: asked of the manager here,
 * or of the leader where there is none.
 */
export class Attachments {
  readonly #running: () => Running;

  /** @param running throws while this node is in no cluster */
  constructor(running: () => Running) {
    this.#running = running;
  }

  /** A worker is told of attachable networks only. */
  async find(reference: string): Promise<FoundNetwork | undefined> {
    const { manager } = this.#running();
    if (!manager) {
      const found = await this.#ask("attachments.find", { reference });
      return (found ?? undefined) as FoundNetwork | undefined;
    }
    const { value } = await manager.read((view) => findNetwork(view, reference));
    return value && { id: value.ID, name: value.Spec.Name ?? "" };
  }

  /** Resolves when this node has the network. @throws FleetError saying why there is no place */
  async attach(request: AttachRequest, signal: AbortSignal): Promise<Place> {
    const { manager, identity } = this.#running();
    if (!manager) {
      const limits = { timeoutMs: READY_TIMEOUT_MS + ANSWER_MARGIN_MS, signal };
      return await this.#ask("attachments.attach", request, limits) as Place;
    }
    return await attach(manager, identity.nodeId, request, signal);
  }

  async release(request: ReleaseRequest): Promise<void> {
    const { manager, identity } = this.#running();
    if (!manager) await this.#ask("attachments.release", request);
    else await release(manager, identity.nodeId, request);
  }

  /**
   * A container starts, or did: it has its name again, and an address on each network that it has a place on.
   * @throws FleetError unavailable: no manager can be asked; conflict: a network has no free address
   */
  async started(request: StartedRequest, signal: AbortSignal): Promise<PlaceAgain[]> {
    const { manager, identity } = this.#running();
    if (manager) return await started(manager, identity.nodeId, request, signal);
    const limits = { timeoutMs: START_TIMEOUT_MS + ANSWER_MARGIN_MS, signal };
    return await this.#ask("attachments.started", request, limits) as PlaceAgain[];
  }

  /** A container does not run any more: its name goes, and its address unless that is kept for it. */
  async stopped(request: StoppedRequest): Promise<void> {
    const { manager, identity } = this.#running();
    const { nodeId } = identity;
    if (!manager) await this.#ask("attachments.stopped", request);
    else await manager.call("network.container-stopped", { ...request, nodeId });
  }

  async #ask(
    route: string,
    body: unknown,
    limits?: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<unknown> {
    const { dialer, identity } = this.#running();
    const addresses = identity.managers.map(({ addr }) => addr);
    return await callLeader(dialer, addresses, route, body, limits);
  }
}

/** The same for nodes without a manager. Whose place it is follows from the caller's certificate. */
export function registerAttachmentRoutes(table: RouteTable, manager: () => Manager): void {
  const callerOf = ({ peer }: RpcContext) => {
    if (peer.role === "anonymous") throw new FleetError("forbidden", "no certificate");
    if (!manager().leaderWork) throw new FleetError("unavailable", "this manager does not lead");
    return peer.nodeId;
  };
  table.route("attachments.find", rolesOf("attachments.find"), (body, context) => {
    callerOf(context);
    const { reference } = decode(obj({ reference: str }), body, "attachments.find");
    const found = findNetwork(manager().store, reference);
    const told = found?.Spec.Attachable ? { id: found.ID, name: found.Spec.Name ?? "" } : null;
    return Promise.resolve(told);
  });
  table.route("attachments.attach", rolesOf("attachments.attach"), async (body, context) => {
    const nodeId = callerOf(context);
    const request = decode(AttachRequest, body, "attachments.attach");
    return await attach(manager(), nodeId, request, context.signal);
  });
  table.route("attachments.started", rolesOf("attachments.started"), async (body, context) => {
    const nodeId = callerOf(context);
    const request = decode(StartedRequest, body, "attachments.started");
    return await started(manager(), nodeId, request, context.signal);
  });
  table.route("attachments.stopped", rolesOf("attachments.stopped"), async (body, context) => {
    const nodeId = callerOf(context);
    const request = decode(StoppedRequest, body, "attachments.stopped");
    return await manager().call("network.container-stopped", { ...request, nodeId });
  });
  table.route("attachments.release", rolesOf("attachments.release"), async (body, context) => {
    const nodeId = callerOf(context);
    await release(manager(), nodeId, decode(ReleaseRequest, body, "attachments.release"));
    return null;
  });
}

/** Its places, each with an address. @throws FleetError */
async function started(
  manager: Manager,
  nodeId: string,
  { containerId, taskIds }: StartedRequest,
  signal: AbortSignal,
): Promise<PlaceAgain[]> {
  const places: PlaceAgain[] = [];
  for (const task of manager.store.tasksOfNode(nodeId)) {
    const spec = task.Spec.NetworkAttachmentSpec;
    if (!spec || isTerminal(task.Status.State)) continue;
    const isIts = taskIds.includes(task.ID) ||
      (containerId !== undefined && spec.ContainerID === containerId);
    const networkId = task.NetworksAttachments?.[0]?.NetworkID;
    if (!isIts || networkId === undefined) continue;
    await manager.call("network.container-started", { taskId: task.ID, nodeId }, signal);
    const wait = { taskId: task.ID, networkId, nodeId, timeoutMs: START_TIMEOUT_MS };
    const network = task.NetworksAttachments?.[0]?.Name ?? networkId;
    places.push({ ...await placeOf(manager, wait, signal), networkId, network });
  }
  return places;
}

async function attach(
  manager: Manager,
  nodeId: string,
  { address, name, containerId, nameservers, ...request }: AttachRequest,
  signal: AbortSignal,
): Promise<Place> {
  const { taskId } = await manager.call("network.attach", {
    ...request,
    nodeId,
    ...(address === undefined ? {} : { address }),
    ...(name === undefined ? {} : { name }),
    ...(containerId === undefined ? {} : { containerId }),
    ...(nameservers === undefined ? {} : { nameservers }),
  }, signal);
  try {
    const wait = { taskId, networkId: request.networkId, nodeId, timeoutMs: READY_TIMEOUT_MS };
    return await placeOf(manager, wait, signal);
  } catch (error) {
    await release(manager, nodeId, { taskIds: [taskId] });
    throw error;
  }
}

/**
 * Waits for the attachment to run on its node, with an address.
 * @throws FleetError conflict, and why: `unavailable` would have a worker ask every other manager, too
 */
async function placeOf(
  manager: Manager,
  { taskId, networkId, nodeId, timeoutMs }: {
    readonly taskId: string;
    readonly networkId: string;
    readonly nodeId: string;
    readonly timeoutMs: number;
  },
  caller: AbortSignal,
): Promise<Place> {
  const late = AbortSignal.any([caller, AbortSignal.timeout(timeoutMs)]);
  /** Set while the network has no free address. */
  let full: AbortSignal | undefined;
  const { store } = manager;
  for (;;) {
    const next = Promise.withResolvers<void>();
    const wake = () => next.resolve();
    const stop = store.onApply((changes) => {
      if (changes.some(({ object }) => object.ID === taskId || object.ID === networkId)) wake();
    });
    const task = store.get("task", taskId);
    const isOver = task !== undefined && isTerminal(task.Status.State);
    if (!task?.Status.Err || isOver) full = undefined;
    else full ??= AbortSignal.any([late, AbortSignal.timeout(FULL_TIMEOUT_MS)]);
    const until = full ?? late;
    until.addEventListener("abort", wake, { once: true });
    try {
      const network = store.get("network", networkId);
      const attachment = task?.NetworksAttachments?.[0];
      const address = attachment?.Addresses?.[0];
      const gateway = network?.Gateways?.[nodeId];
      if (task?.Status.State === "running" && address && gateway) {
        return { taskId, address: withoutLength(address), mac: attachment.MAC, gateway };
      }
      if (until.aborted || isOver) {
        const name = network?.Spec.Name ?? networkId;
        throw new FleetError(
          "conflict",
          task?.Status.Err ||
            `network ${name} cannot be used on this node: it was not ready within ${
              timeoutMs / 1000
            } s`,
        );
      }
      await next.promise;
    } finally {
      stop();
      until.removeEventListener("abort", wake);
    }
  }
}

/** What cannot be released now ends by itself: the agent notices that there is no container. */
async function release(
  manager: Manager,
  nodeId: string,
  { networkId, containerId, taskIds }: ReleaseRequest,
): Promise<void> {
  const found = new Set(taskIds);
  for (const task of manager.store.tasksOfNode(nodeId)) {
    const attachment = task.Spec.NetworkAttachmentSpec;
    if (!attachment || containerId === undefined) continue;
    const same = task.NetworksAttachments?.[0]?.NetworkID === networkId;
    if (same && attachment.ContainerID === containerId) found.add(task.ID);
  }
  for (const taskId of found) {
    if (networkId !== undefined) {
      const on = manager.store.get("task", taskId)?.NetworksAttachments?.[0]?.NetworkID;
      if (on !== networkId) continue;
    }
    await manager.call("network.detach", { taskId, nodeId }).catch(() => null);
  }
}
