import { compareStates, isTerminal } from "../../model/task_state.ts";
import { timeText } from "../../model/meta.ts";
import { isOverlay, macOf, withoutLength } from "../../model/network.ts";
import type { Network } from "../../model/network.ts";
import type { Node } from "../../model/node.ts";
import { ingressPorts } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { assertTransition } from "../../model/task_transitions.ts";
import type { NetworkAttachment, Task } from "../../model/task.ts";
import type { Applied, Change, View } from "../../model/view.ts";
import { AddressPool, WARN_AT } from "./address_pool.ts";
import { occupiesNode, Room } from "./room.ts";

/** How full one network is. */
export interface Usage {
  readonly network: Network;
  /** Addresses of services, tasks, containers and nodes. */
  readonly used: number;
  /** Those of nodes among them. */
  readonly nodes: number;
  readonly capacity: number;
}

/** An address that one object holds on one network. */
interface Claim {
  readonly networkId: string;
  readonly address: string;
  readonly owner: string;
}

/**
 * Gives addresses to services (VIPs), tasks and nodes on overlay networks. What is in use follows from
 * the live objects alone: {@link resync} reads them all, {@link apply} follows every change, and an audit
 * compares the two. So nothing can leak: what no object holds is free.
 */
export class Allocator {
  #pools = new Map<string, AddressPool>();

  /** Starts over from what is stored. */
  resync(view: View): void {
    const before = this.#pools;
    this.#pools = new Map();
    for (const network of sorted(view.all("network"))) this.#addNetwork(network);
    for (const claim of allClaims(view)) this.#claim(claim);
    for (const [id, address] of newestAddresses(view)) this.#pools.get(id)?.continueBehind(address);
    for (const [id, pool] of this.#pools) {
      const earlier = before.get(id);
      if (earlier) pool.continueFrom(earlier);
    }
  }

  /** Follows one stored change. True when there may be something to give out. */
  apply({ op, table, object, previous }: Applied): boolean {
    if (table === "network") {
      const network = object as Network;
      if (op === "remove") this.#pools.delete(network.ID);
      else if (!previous) this.#addNetwork(network);
    } else if (table === "node") {
      return op !== "update" || isOtherNode(object as Node, previous as Node | undefined);
    } else if (table !== "task" && table !== "service") return false;
    if (op !== "create") {
      for (const claim of claimsOf(table, previous ?? object)) this.#release(claim);
    }
    if (op !== "remove") { for (const claim of claimsOf(table, object)) this.#claim(claim); }
    return concerns(table, object) ||
      (previous !== undefined && concerns(table, previous));
  }

  /** Differences between what was followed and what is stored; empty unless there is a bug. */
  audit(view: View): string[] {
    const fresh = new Allocator();
    fresh.resync(view);
    const wrong: string[] = [];
    for (const id of new Set([...this.#pools.keys(), ...fresh.#pools.keys()])) {
      const [mine, real] = [
        this.#pools.get(id)?.claims() ?? [],
        fresh.#pools.get(id)?.claims() ?? [],
      ];
      if (mine.join() === real.join()) continue;
      const name = view.get("network", id)?.Spec.Name ?? id;
      for (const line of mine) if (!real.includes(line)) wrong.push(`${name}: ${line} is not held`);
      for (const line of real) if (!mine.includes(line)) wrong.push(`${name}: ${line} was missed`);
    }
    return wrong.sort();
  }

  /** Networks of which at least 80 % are given out. */
  nearlyFull(view: View): Usage[] {
    return this.usages(view).filter(({ used, capacity }) => used >= WARN_AT * capacity);
  }

  usages(view: View): Usage[] {
    return [...this.#pools].sort(([a], [b]) => a < b ? -1 : 1).flatMap(([id, pool]) => {
      const network = view.get("network", id);
      if (!network) return [];
      const nodes = Object.keys(network.Gateways ?? {}).length;
      return [{ network, used: pool.used, nodes, capacity: pool.capacity }];
    });
  }

  /** Everything that can be given out or taken back now. */
  allocate(view: View, nowMs: number): Change[] {
    const pass = new Pass(view, this.#pools, nowMs);
    // Nodes first: there, tasks wait that have their addresses already.
    const changes = [...pass.gateways(), ...pass.services(), ...pass.tasks()];
    // What is proposed here counts when it comes back as a stored change, not before.
    pass.undo();
    return changes;
  }

  #addNetwork(network: Network): void {
    const config = network.IPAMOptions?.Config?.[0];
    if (isOverlay(network) && config?.Subnet) this.#pools.set(network.ID, new AddressPool(config));
  }

  #claim({ networkId, address, owner }: Claim): void {
    this.#pools.get(networkId)?.claim(address, owner);
  }

  #release({ networkId, address, owner }: Claim): void {
    this.#pools.get(networkId)?.release(address, owner);
  }
}

/** One look at everything, with the addresses it hands out marked as used until its end. */
class Pass {
  readonly #view: View;
  readonly #pools: ReadonlyMap<string, AddressPool>;
  readonly #nowMs: number;
  readonly #taken: (() => void)[] = [];
  /** Services without a virtual address, and the network that has none left for them. */
  readonly #waiting = new Map<string, string>();
  /** The nodes' addresses by network, as of {@link gateways}. */
  readonly #gateways = new Map<string, Readonly<Record<string, string>>>();
  #room: Room | undefined;
  /** Id of the network of the routing mesh. */
  readonly #mesh: string | undefined;

  constructor(view: View, pools: ReadonlyMap<string, AddressPool>, nowMs: number) {
    this.#view = view;
    this.#pools = pools;
    this.#nowMs = nowMs;
    this.#mesh = [...view.all("network")].find(({ Spec }) => Spec.Ingress)?.ID;
  }

  undo(): void {
    for (const giveBack of this.#taken.reverse()) giveBack();
  }

  *services(): Iterable<Change> {
    for (const service of sorted(this.#view.all("service"))) {
      const wanted = this.#vipNetworks(service);
      const had = service.Endpoint?.VirtualIPs ?? [];
      const kept = had.filter(({ NetworkID }) => wanted.includes(NetworkID ?? ""));
      const vips = [...kept];
      for (const networkId of wanted) {
        if (kept.some(({ NetworkID }) => NetworkID === networkId)) continue;
        const isRoom = this.#free(networkId) > this.#roomForNodes().kept(networkId);
        const address = isRoom ? this.#take(networkId, vipOwner(service)) : undefined;
        // Nothing is sent to an address on the mesh's network: a service does without one there.
        if (address === undefined) {
          if (networkId !== this.#mesh) this.#waiting.set(service.ID, networkId);
        } else vips.push({ NetworkID: networkId, Addr: this.#withLength(networkId, address) });
      }
      if (vips.length === had.length && kept.length === had.length) continue;
      const { VirtualIPs: _, ...endpoint } = service.Endpoint ?? {};
      const Endpoint = vips.length > 0 ? { ...endpoint, VirtualIPs: vips } : endpoint;
      yield { op: "update", table: "service", object: { ...service, Endpoint } };
    }
  }

  *tasks(): Iterable<Change> {
    const waiting = [...this.#view.all("task")].filter((task) =>
      (task.Status.State === "new" || this.#comesBack(task)) &&
      compareStates(task.DesiredState, "shutdown") < 0
    );
    // The longest waiting first, so that nobody is overtaken for ever.
    waiting.sort((a, b) =>
      a.CreatedAt === b.CreatedAt ? (a.ID < b.ID ? -1 : 1) : a.CreatedAt < b.CreatedAt ? -1 : 1
    );
    for (const task of waiting) {
      const outcome = this.#attach(task);
      const now = timeText(this.#nowMs);
      if (typeof outcome === "string") {
        if (task.Status.Err === outcome) continue;
        const Message = task.Status.State === "new" ? "pending task allocation" : "no address";
        const Status = { ...task.Status, Timestamp: now, Message, Err: outcome };
        yield { op: "update", table: "task", object: { ...task, Status } };
        continue;
      }
      const { Err: _, ...status } = task.Status;
      const object: Task = {
        ...task,
        ...(outcome.length > 0 ? { NetworksAttachments: outcome } : {}),
        Status: task.Status.State === "new"
          ? { ...status, State: "pending", Timestamp: now, Message: "pending task scheduling" }
          : { ...status, Timestamp: now, Message: "started" },
      };
      assertTransition("allocator", task, object);
      yield { op: "update", table: "task", object };
    }
  }

  /** A container that was started again, and gave its address back before. */
  #comesBack(task: Task): boolean {
    const spec = task.Spec.NetworkAttachmentSpec;
    if (!spec || spec.Idle || !occupiesNode(task)) return false;
    return (task.NetworksAttachments ?? []).some(({ NetworkID, Addresses }) =>
      !Addresses && this.#pools.has(NetworkID)
    );
  }

  /** One address per node and network with tasks there; it goes with the last of them. */
  *gateways(): Iterable<Change> {
    const needed = new Map<string, Set<string>>();
    for (const task of this.#view.all("task")) {
      if (!task.NodeID || !task.NetworksAttachments || !occupiesNode(task)) continue;
      for (const { NetworkID } of task.NetworksAttachments) {
        if (!this.#pools.has(NetworkID)) continue;
        const nodes = needed.get(NetworkID) ?? new Set();
        needed.set(NetworkID, nodes.add(task.NodeID));
      }
    }
    const meshed = [...this.#view.all("service")].some(({ Spec }) => ingressPorts(Spec).length > 0);
    for (const network of sorted(this.#view.all("network"))) {
      if (!this.#pools.has(network.ID)) continue;
      // A published port answers on every node.
      if (network.Spec.Ingress && meshed) {
        needed.set(network.ID, new Set([...this.#view.all("node")].map(({ ID }) => ID)));
      }
      const nodes = needed.get(network.ID) ?? new Set<string>();
      const had = network.Gateways ?? {};
      const next: Record<string, string> = {};
      let changed = false;
      for (const [nodeId, address] of Object.entries(had)) {
        if (nodes.has(nodeId)) next[nodeId] = address;
        else changed = true;
      }
      for (const nodeId of [...nodes].sort()) {
        if (next[nodeId] !== undefined) continue;
        const address = this.#take(network.ID, gatewayOwner(nodeId));
        if (address === undefined) continue;
        next[nodeId] = address;
        changed = true;
      }
      this.#gateways.set(network.ID, next);
      if (changed) {
        yield { op: "update", table: "network", object: { ...network, Gateways: next } };
      }
    }
  }

  /** The task's attachments with addresses, or why there are none yet. */
  #attach(task: Task): readonly NetworkAttachment[] | string {
    const full = this.#waiting.get(task.ServiceID ?? "");
    if (full !== undefined) return this.#fullSentence(full, "the service's virtual address");
    const room = this.#roomForNodes();
    const whom = task.Spec.NetworkAttachmentSpec ? "the container" : "the task";
    const attachments: NetworkAttachment[] = [];
    for (const attachment of task.NetworksAttachments ?? []) {
      const network = this.#view.get("network", attachment.NetworkID);
      if (!network) {
        return `network ${attachment.Name ?? attachment.NetworkID} does not exist any more`;
      }
      if (!isOverlay(network)) {
        attachments.push(attachment);
        continue;
      }
      const asked = attachment.Addresses?.[0];
      const left = this.#free(network.ID) - (asked === undefined ? 1 : 0);
      if (left < room.kept(network.ID, { nodeId: task.NodeID })) {
        return this.#fullSentence(network.ID, whom);
      }
      const address = asked === undefined
        ? this.#take(network.ID, taskOwner(task), task.Spec.NetworkAttachmentSpec?.LastAddress)
        : withoutLength(asked);
      if (address === undefined) return this.#fullSentence(network.ID, whom);
      attachments.push({
        ...attachment,
        Addresses: [this.#withLength(network.ID, address)],
        MAC: macOf(address),
      });
    }
    for (const { NetworkID } of attachments) room.expect(NetworkID, task.NodeID);
    return attachments;
  }

  #roomForNodes(): Room {
    return this.#room ??= new Room(
      this.#view,
      (networkId, nodeId) =>
        !this.#pools.has(networkId) || this.#gateways.get(networkId)?.[nodeId] !== undefined,
    );
  }

  #vipNetworks(service: Service): string[] {
    if (service.PendingDelete || service.Spec.EndpointSpec?.Mode === "dnsrr") return [];
    const targets = (service.Spec.TaskTemplate?.Networks ?? []).map(({ Target }) => Target ?? "");
    // First, as in Swarm: clients find by it that a service publishes ports, and on which network.
    if (this.#mesh !== undefined && ingressPorts(service.Spec).length > 0) {
      targets.unshift(this.#mesh);
    }
    return [...new Set(targets)].filter((id) => this.#pools.has(id));
  }

  #take(networkId: string, owner: string, before?: string): string | undefined {
    const pool = this.#pools.get(networkId);
    const again = before === undefined ? undefined : pool?.takeAgain(before, owner);
    const address = again ?? pool?.take(owner);
    if (pool && address !== undefined) this.#taken.push(() => pool.release(address, owner));
    return address;
  }

  #free(networkId: string): number {
    return this.#pools.get(networkId)?.free ?? 0;
  }

  /** Says nothing that changes while nobody gives an address back: all who wait are told it. */
  #fullSentence(networkId: string, whom: string): string {
    const network = this.#view.get("network", networkId);
    const subnet = network?.IPAMOptions?.Config?.[0]?.Subnet ?? "";
    const capacity = this.#pools.get(networkId)?.capacity ?? 0;
    return `network ${
      network?.Spec.Name ?? networkId
    } has no free address for ${whom}: all ${capacity} of ${subnet} are in use or kept for nodes, which need one each`;
  }

  #withLength(networkId: string, address: string): string {
    return `${address}/${this.#pools.get(networkId)?.length ?? 32}`;
  }
}

const taskOwner = ({ ID }: Task) => `task ${ID}`;
const vipOwner = ({ ID }: Service) => `service ${ID}`;
const gatewayOwner = (nodeId: string) => `node ${nodeId}`;

/** A task that has ended has no container any more that could use its addresses. */
function claimsOf(table: Applied["table"], object: Applied["object"]): Claim[] {
  if (table === "task") {
    const task = object as Task;
    if (isTerminal(task.Status.State)) return [];
    return (task.NetworksAttachments ?? []).flatMap(({ NetworkID, Addresses }) =>
      (Addresses ?? []).map((address) => ({
        networkId: NetworkID,
        address: withoutLength(address),
        owner: taskOwner(task),
      }))
    );
  }
  if (table === "service") {
    const service = object as Service;
    return (service.Endpoint?.VirtualIPs ?? []).map(({ NetworkID, Addr }) => ({
      networkId: NetworkID ?? "",
      address: withoutLength(Addr ?? ""),
      owner: vipOwner(service),
    }));
  }
  if (table === "network") {
    const network = object as Network;
    return Object.entries(network.Gateways ?? {}).map(([nodeId, address]) => ({
      networkId: network.ID,
      address,
      owner: gatewayOwner(nodeId),
    }));
  }
  return [];
}

/**
 * By network, the address of the task that was made last, ended or not: a new leader goes on behind it, or
 * it would give out at once what the last tasks to end had.
 */
function newestAddresses(view: View): Map<string, string> {
  const newest = new Map<string, { readonly task: Task; readonly address: string }>();
  for (const task of view.all("task")) {
    for (const { NetworkID, Addresses } of task.NetworksAttachments ?? []) {
      const address = Addresses?.[0];
      const known = newest.get(NetworkID);
      if (address === undefined || (known && !isNewer(task, known.task))) continue;
      newest.set(NetworkID, { task, address: withoutLength(address) });
    }
  }
  return new Map([...newest].map(([id, { address }]) => [id, address]));
}

/** In the order in which addresses are given out. */
function isNewer(a: Task, b: Task): boolean {
  return a.CreatedAt === b.CreatedAt ? a.ID > b.ID : a.CreatedAt > b.CreatedAt;
}

function* allClaims(view: View): Iterable<Claim> {
  for (const table of ["network", "service", "task"] as const) {
    for (const object of sorted<Applied["object"]>(view.all(table))) yield* claimsOf(table, object);
  }
}

/** Whether tasks can go to other nodes than before. */
function isOtherNode(node: Node, before: Node | undefined): boolean {
  return node.Status.State !== before?.Status.State ||
    node.Spec.Availability !== before.Spec.Availability;
}

function concerns(table: Applied["table"], object: Applied["object"]): boolean {
  if (table === "network") return isOverlay(object as Network);
  if (table === "service") {
    const service = object as Service;
    return (service.Spec.TaskTemplate?.Networks?.length ?? 0) > 0 ||
      ingressPorts(service.Spec).length > 0 ||
      (service.Endpoint?.VirtualIPs?.length ?? 0) > 0;
  }
  const task = object as Task;
  return task.Status.State === "new" || (task.NetworksAttachments?.length ?? 0) > 0;
}

function sorted<T extends { readonly ID: string }>(objects: Iterable<T>): T[] {
  return [...objects].sort((a, b) => a.ID < b.ID ? -1 : 1);
}
