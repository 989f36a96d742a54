import { FleetError } from "../../base/errors.ts";
import { findNetwork } from "../../core/control/networks.ts";
import { rolesOf } from "../../core/pki/route_roles.ts";
import { decode, list, obj, opt, str } from "../../model/json.ts";
import type { Infer } from "../../model/json.ts";
import { withoutLength } from "../../model/network.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Manager } from "../manager/manager.ts";
import type { RouteTable, RpcContext } from "../rpc.ts";
import { callLeader } from "./leader_dial.ts";
import type { Running } from "./running.ts";

/** An attachment that has no address and no network on its node after this long is given up. */
const READY_TIMEOUT_MS = 30_000;

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

/** A container's place on a network: the attachment's id, its address, and where names are answered. */
export interface Place {
  readonly taskId: string;
  readonly address: string;
  readonly mac: string | undefined;
  readonly gateway: string;
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
    if (!manager) return await this.#ask("attachments.attach", request) as Place;
    return await attach(manager, identity.nodeId, request, signal);
  }

  async release(request: ReleaseRequest): Promise<void> {
    const { manager, identity } = this.#running();
    if (!manager) await this.#ask("attachments.release", request);
    else await release(manager, identity.nodeId, request);
  }

  async #ask(route: string, body: unknown): Promise<unknown> {
    const { dialer, identity } = this.#running();
    const addresses = identity.managers.map(({ addr }) => addr);
    return await callLeader(dialer, addresses, route, body);
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
  table.route("attachments.release", rolesOf("attachments.release"), async (body, context) => {
    const nodeId = callerOf(context);
    await release(manager(), nodeId, decode(ReleaseRequest, body, "attachments.release"));
    return null;
  });
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
    return await placeOf(manager, taskId, request.networkId, nodeId, signal);
  } catch (error) {
    await release(manager, nodeId, { taskIds: [taskId] });
    throw error;
  }
}

/** Waits for the attachment to run on its node. @throws FleetError unavailable, and why */
async function placeOf(
  manager: Manager,
  taskId: string,
  networkId: string,
  nodeId: string,
  caller: AbortSignal,
): Promise<Place> {
  const signal = AbortSignal.any([caller, AbortSignal.timeout(READY_TIMEOUT_MS)]);
  const { store } = manager;
  for (;;) {
    const next = Promise.withResolvers<void>();
    const wake = () => next.resolve();
    const stop = store.onApply((changes) => {
      if (changes.some(({ object }) => object.ID === taskId || object.ID === networkId)) wake();
    });
    signal.addEventListener("abort", wake, { once: true });
    try {
      const task = store.get("task", taskId);
      const network = store.get("network", networkId);
      const attachment = task?.NetworksAttachments?.[0];
      const address = attachment?.Addresses?.[0];
      const gateway = network?.Gateways?.[nodeId];
      if (task?.Status.State === "running" && address && gateway) {
        return { taskId, address: withoutLength(address), mac: attachment.MAC, gateway };
      }
      if (signal.aborted || (task && isTerminal(task.Status.State))) {
        const late = `it was not ready within ${READY_TIMEOUT_MS / 1000} s`;
        throw new FleetError(
          "unavailable",
          `network ${network?.Spec.Name ?? networkId} cannot be used on this node: ${
            task?.Status.Err || late
          }`,
        );
      }
      await next.promise;
    } finally {
      stop();
      signal.removeEventListener("abort", wake);
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
