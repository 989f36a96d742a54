import type { Clock } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { desiredState } from "../../core/network/desired.ts";
import { isKernels } from "../../core/network/relayed_ports.ts";
import { portOwners } from "../../core/network/balancer.ts";
import type { MeshKind } from "../../core/network/balancer.ts";
import type { DesiredNetwork, DesiredState } from "../../core/network/desired.ts";
import { countBalancing, NOTHING_BALANCED } from "../../core/network/balancing.ts";
import type { Balancing } from "../../core/network/balancing.ts";
import { nameTable } from "../../core/network/name_table.ts";
import type { NameTable } from "../../core/network/names.ts";
import { ipvsLine, isOwnMark, planIpvs } from "../../core/network/ipvs.ts";
import type { ObservedState } from "../../core/network/observed.ts";
import { assume, describeOperation, planOperations } from "../../core/network/operations.ts";
import type { Operation, Plan } from "../../core/network/operations.ts";
import { applyToPicture, EMPTY_PICTURE } from "../../core/network/picture.ts";
import type { Picture } from "../../core/network/picture.ts";
import type { Assignments, PublishedPort } from "../../model/session.ts";
import { MeshRules, NOT_LISTED } from "./mesh_rules.ts";
import type { RulesHost } from "./mesh_rules.ts";
import type { DirectPaths } from "./direct_paths.ts";
import { relayAll } from "./relays.ts";
import type { PortRelays } from "./relays.ts";
import { TakenPorts } from "./taken_ports.ts";
import type { ProbedNetwork } from "./offload_probe.ts";

/** The machine's part; `src/adapters/network` implements it. */
export interface NetworkHost extends RulesHost {
  /** Without IPVS where that cannot be had, for a node that leaves. */
  observe(signal: AbortSignal, leaving?: boolean): Promise<ObservedState>;
  execute(
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<readonly { readonly operation: Operation; readonly reason: string }[]>;
  /** Encrypts between nodes for those of the networks that ask for it; the number of changes. */
  applyEncryption(networks: readonly DesiredNetwork[], signal: AbortSignal): Promise<number>;
  /** Who listens at these ports on this machine, by `protocol/port`. */
  portUsers(
    ports: readonly { readonly protocol: "tcp" | "udp" | "sctp"; readonly port: number }[],
  ): Promise<ReadonlyMap<string, string>>;
  dataPathMtu(address: string, signal: AbortSignal): Promise<number>;
  /** Lets connections from outside through to the mesh's bridge, and no other bridge of fleet's. */
  openMesh(bridge: string | undefined, signal: AbortSignal): Promise<void>;
}

/** The node's name server; `src/adapters/dns` implements it. */
export interface NameServer {
  /** Answers from what `table` gives from now on; it is asked for when somebody asks for a name. */
  setTable(table: () => NameTable): void;
  listenOn(
    addresses: readonly string[],
  ): Promise<readonly { readonly address: string; readonly reason: string }[]>;
}

export interface NetworkSyncOptions {
  readonly nodeId: string;
  readonly dataPathAddr: string;
  /** TCP port of the managers. */
  readonly apiPort: number;
  readonly host: NetworkHost;
  readonly names: NameServer;
  readonly relays: PortRelays;
  /** Looks whether packets reach the other nodes whole; never throws. `offload_probe.ts` is the real one. */
  readonly paths?: {
    look(networks: readonly ProbedNetwork[], signal: AbortSignal): Promise<void>;
  };
  /** The short cut between containers of different nodes. */
  readonly direct?: Pick<DirectPaths, "run" | "update" | "settled">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A node's overlay networks at one moment, for people. */
export interface NetworkState {
  /** Who balances; absent before the first look. */
  readonly mesh?: MeshKind;
  readonly networks: number;
  /** Things that somebody else had changed and that were put right again, since the agent started. */
  readonly drift: number;
  readonly audits: number;
  /** Network name to what is wrong with it here. */
  readonly problems: Readonly<Record<string, string>>;
  readonly balancing: Balancing;
}

/** The kernel is compared with what it should hold this often. */
const AUDIT_EVERY_MS = 10_000;
/** After a failure; doubled with each further one, up to the time between audits. */
const RETRY_MS = 1_000;
/** A task waits this long for its networks; Docker waits as long. */
const READY_TIMEOUT_MS = 30_000;
/** Repairs that are named in the log one by one. */
const MAX_NAMED = 5;

/**
 * Keeps the node's overlay networks as the managers described them: makes what is missing, removes what
 * nobody needs, and looks every 10 s whether somebody else changed anything.
 */
export class NetworkSync {
  readonly #options: NetworkSyncOptions;
  #picture: Picture = EMPTY_PICTURE;
  /** Nothing is touched before the managers said what there shall be. */
  #told = false;
  /** What the node has, as of the last look and everything done since. */
  #observed: ObservedState | undefined;
  #ready = new Map<string, { readonly gateway: string }>();
  #problems = new Map<string, string>();
  /** Networks whose problem somebody has to mend; others may pass with the next attempt. */
  #lasting: ReadonlySet<string> = new Set();
  /** Why the last pass did not come to its end. */
  #trouble: string | undefined;
  #drift = 0;
  #balancing = NOTHING_BALANCED;
  #audits = 0;
  #leaving = false;
  #changed = false;
  /** What the kernel balances by. */
  #inForce: Picture | undefined;
  /** Tells that the newest picture is in force; undefined when that was told. */
  #done: (() => void) | undefined;
  #wake: () => void = () => {};
  readonly #waiters = new Set<() => void>();

  constructor(options: NetworkSyncOptions) {
    this.#options = options;
    this.#rules = new MeshRules(options);
  }

  /** Takes over what the managers say; it is done soon. */
  apply(assignments: Assignments, done: () => void = () => {}): void {
    this.#done = done;
    const before = this.#picture;
    this.#picture = applyToPicture(before, assignments);
    // Even if it is wanted again, and at the same address, before that has begun: it is about to go.
    for (const id of this.#ready.keys()) if (!this.#isWanted(id)) this.#ready.delete(id);
    this.#tellNames();
    if (assignments.kind === "complete") this.#told = true;
    if (this.#picture !== before || assignments.kind === "complete") this.#changed = true;
    this.#wake();
  }

  /** Not in the pass that brings the kernel up to date: that may have to wait for the engine. */
  #tellNames(): void {
    const picture = this.#picture;
    this.#options.names.setTable(() => nameTable(picture));
  }

  state(): NetworkState {
    const nameOf = (id: string) => this.#picture.networks.get(id)?.name ?? id;
    return {
      ...(this.#rules.kind ? { mesh: this.#rules.kind } : {}),
      networks: this.#picture.networks.size,
      drift: this.#drift,
      audits: this.#audits,
      balancing: this.#balancing,
      problems: Object.fromEntries(
        [
          ...[...this.#problems].map(([id, problem]) => [nameOf(id), problem]),
          ...this.#portProblems,
          ...this.#relayProblems,
          ...this.#portClashes,
          ...(this.#trouble === undefined ? [] : [["this node", this.#trouble] as const]),
        ],
      ),
    };
  }

  /**
   * Waits until a network can be used here; its gateway, where names are answered.
   * @throws Error saying why it cannot be used, or that it took too long
   */
  async ready(
    networkId: string,
    name: string,
    signal: AbortSignal,
    serviceId?: string,
  ): Promise<string> {
    const { clock } = this.#options;
    let late = false;
    let wake: () => void = () => {};
    const ring = () => wake();
    const cancel = clock.after(READY_TIMEOUT_MS, () => {
      late = true;
      ring();
    });
    this.#waiters.add(ring);
    signal.addEventListener("abort", ring, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const found = this.#ready.get(networkId);
        const told = this.#picture.networks.get(networkId);
        if (found && told) {
          const ports = told.ingress
            ? this.#picture.services.get(serviceId ?? "")?.ports ?? []
            : [];
          // What the service publishes is looked at in the pass that its assignment brings about.
          if (late || ports.every((port) => this.#taken.hasLooked(port))) {
            this.#refuseTakenPorts(ports);
            return found.gateway;
          }
        }
        const problem = this.#problems.get(networkId);
        if (problem !== undefined && (late || this.#lasting.has(networkId))) {
          throw new FleetError("unavailable", problem);
        }
        if (late) throw new Error(this.#lateSentence(networkId, name));
        await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      cancel();
      this.#waiters.delete(ring);
      signal.removeEventListener("abort", ring);
    }
  }

  /** What was made for an address that the managers have changed since is not. */
  #isWanted(networkId: string): boolean {
    const made = this.#ready.get(networkId);
    return made !== undefined && made.gateway === this.#picture.networks.get(networkId)?.gateway;
  }

  /** A service that publishes a port which another program has here is better off elsewhere. */
  #refuseTakenPorts(ports: readonly PublishedPort[]): void {
    for (const { protocol, published } of ports) {
      const problem = this.#portProblems.get(`${protocol}/${published}`);
      if (problem !== undefined) throw new FleetError("unavailable", problem);
    }
  }

  #lateSentence(networkId: string, name: string): string {
    if (this.#trouble !== undefined) return `network ${name}: ${this.#trouble}`;
    const network = this.#picture.networks.get(networkId);
    if (network && network.gateway === undefined) {
      return `network ${name}: the node got no address on it within ${
        READY_TIMEOUT_MS / 1000
      } s; its addresses may be exhausted`;
    }
    return `network ${name} was not ready on this node within ${READY_TIMEOUT_MS / 1000} s`;
  }

  /** Works until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#run(signal), this.#options.direct?.run(signal)]);
    await this.#looking;
    await this.#options.direct?.settled();
  }

  /** Takes everything of overlay networks off the node, which leaves the cluster; after {@link run}. */
  async removeAll(signal: AbortSignal): Promise<void> {
    this.#picture = EMPTY_PICTURE;
    this.#leaving = true;
    this.#tellNames();
    const removed = await this.#sync(true, signal);
    await this.#options.direct?.settled();
    if (removed) return;
    this.#options.logger.log("warn", "not all overlay networks could be removed from this node", {
      way:
        "docker network ls --filter label=io.fleet.network shows them; remove the containers on them first",
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    let nextAudit = clock.monotonic();
    let failures = 0;
    for (;;) {
      if (signal.aborted) return;
      const audit = this.#observed === undefined || clock.monotonic() >= nextAudit;
      let retry = false;
      if (this.#told && (this.#changed || (audit && this.#isUsed()))) {
        this.#changed = false;
        if (audit) nextAudit = clock.monotonic() + AUDIT_EVERY_MS;
        try {
          retry = !await this.#sync(audit, signal);
          this.#trouble = undefined;
        } catch (error) {
          if (signal.aborted) return;
          retry = true;
          this.#observed = undefined;
          const trouble = messageOf(error);
          // Once, not with each attempt: somebody may have to mend it.
          if (trouble !== this.#trouble) {
            logger.log(
              "warn",
              "the overlay networks of this node could not be brought up to date",
              {
                error: trouble,
              },
            );
          }
          this.#trouble = trouble;
        }
        for (const waiter of [...this.#waiters]) waiter();
      }
      if (retry) this.#observed = undefined;
      if (this.#changed) continue;
      this.#tellDone();
      failures = retry ? failures + 1 : 0;
      const retryMs = Math.min(RETRY_MS * 2 ** (failures - 1), AUDIT_EVERY_MS);
      const restMs = retry ? retryMs : Math.max(0, nextAudit - clock.monotonic());
      await this.#rest(this.#isUsed() || retry ? restMs : Infinity);
      if (retry) this.#changed = true;
    }
  }

  #tellDone(): void {
    if (!this.#told || this.#inForce !== this.#picture) return;
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }

  #isUsed(): boolean {
    return this.#picture.networks.size > 0 || (this.#observed?.engineNetworks.length ?? 0) > 0;
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === Infinity ? () => {} : this.#options.clock.after(ms, () => done());
      const done = () => {
        cancel();
        this.#wake = () => {};
        resolve();
      };
      this.#wake = done;
    });
  }

  /** One pass; false when something did not work and is to be tried again. */
  async #sync(audit: boolean, signal: AbortSignal): Promise<boolean> {
    const { host, dataPathAddr } = this.#options;
    const picture = this.#picture;
    const known = this.#observed;
    const fresh = known === undefined;
    if (known === undefined && picture.networks.size === 0) {
      const found = await host.observe(signal, this.#leaving);
      if (
        found.engineNetworks.length === 0 && found.links.size === 0 && found.ruleset === "" &&
        !ownIpvs(found)
      ) {
        this.#rules.observe(found);
        this.#observed = found;
        this.#inForce = picture;
        this.#balancing = NOTHING_BALANCED;
        this.#options.direct?.update([], audit, signal);
        return true;
      }
    }
    const mtu = picture.networks.size > 0 ? await this.#mtu(dataPathAddr, audit, signal) : 1500;
    const whole = desiredState(picture, {
      nodeId: this.#options.nodeId,
      dataPathAddr,
      dataPathMtu: mtu,
      apiPort: this.#options.apiPort,
    });
    const taken = await this.#taken.look(whole.published, audit);
    const desired = { ...whole, published: taken.free.filter(isKernels) };
    const observed = audit || known === undefined
      ? await host.observe(signal, this.#leaving)
      : known;
    const plan = planOperations(desired, observed);
    const rulesetLost = audit && known !== undefined && known.ruleset !== NOT_LISTED &&
      observed.ruleset !== known.ruleset;
    // After parts of the rules were changed their listing is not known: the whole is put in force again.
    const renew = rulesetLost || (audit && known?.ruleset === NOT_LISTED);
    if (audit && known !== undefined) this.#countDrift(plan, rulesetLost, desired, known, observed);
    if (audit) this.#audits++;
    const problems = new Map(plan.problems);
    this.#portProblems = taken.problems;
    this.#portClashes = portOwners(picture).clashes;
    const operations = await this.#encrypt(desired, audit, plan, problems, signal);
    const failures = operations.length > 0 ? await host.execute(operations, signal) : [];
    for (const { operation, reason } of failures) {
      if (!("network" in operation) || problems.has(operation.network)) continue;
      const name = picture.networks.get(operation.network)?.name ?? operation.network;
      problems.set(operation.network, `network ${name}: ${reason}`);
    }
    const inForce = await this.#rules.apply(desired, observed, { fresh, renew }, signal);
    this.#relayProblems = relayAll(this.#options.relays, taken);
    await this.#rules.letGo(desired, audit, signal);
    this.#inForce = picture;
    this.#balancing = countBalancing(desired);
    this.#tellDone();
    await this.#rules.after(desired, audit, signal);
    await this.#openMesh(desired, audit || plan.operations.length > 0, problems, signal);
    await this.#listen(desired, plan, problems);
    this.#lasting = new Set(plan.problems.keys());
    this.#note(problems);
    const usable = desired.networks.filter(({ id }) => !problems.has(id));
    this.#ready = new Map(usable.map(({ id, gateway }) => [id, { gateway }]));
    for (const id of this.#ready.keys()) if (!this.#isWanted(id)) this.#ready.delete(id);
    this.#observed = { ...assume(desired, observed), ...inForce };
    this.#look(desired, picture, signal);
    this.#options.direct?.update(
      desired.networks.filter(({ id }) => !problems.has(id)),
      audit || operations.some(({ op }) => op === "add-vxlan" || op === "restore-bridge"),
      signal,
    );
    return failures.length === 0 && problems.size === 0;
  }

  #looking: Promise<void> | undefined;

  /** Goes on while the next pass does: an answer may take seconds. */
  #look({ networks }: DesiredState, picture: Picture, signal: AbortSignal): void {
    const { paths } = this.#options;
    if (!paths || this.#looking) return;
    const probed = networks.filter(({ id }) => this.#ready.has(id)).map((
      { id, vxlan, gateway },
    ) => ({
      vxlan,
      gateway,
      peers: picture.networks.get(id)?.peers ?? [],
    }));
    this.#looking = paths.look(probed, signal).finally(() => this.#looking = undefined);
  }

  readonly #rules: MeshRules;
  readonly #taken = new TakenPorts((ports) => this.#options.host.portUsers(ports));
  /** `protocol/port` to the sentence that says who has it. */
  #portProblems: ReadonlyMap<string, string> = new Map();
  #relayProblems: ReadonlyMap<string, string> = new Map();
  #portClashes: ReadonlyMap<string, string> = new Map();
  /** What was encrypted last, as text; a restarted agent does not know it. */
  #encryption = "unknown";
  #mtuKnown: number | undefined;
  #mesh: string | undefined;

  async #openMesh(
    { networks }: DesiredState,
    look: boolean,
    problems: Map<string, string>,
    signal: AbortSignal,
  ): Promise<void> {
    const ingress = networks.find((network) => network.ingress && !problems.has(network.id));
    if (!look && ingress?.bridge === this.#mesh) return;
    try {
      await this.#options.host.openMesh(ingress?.bridge, signal);
      this.#mesh = ingress?.bridge;
    } catch (error) {
      signal.throwIfAborted();
      if (ingress) problems.set(ingress.id, `network ${ingress.name}: ${messageOf(error)}`);
    }
  }

  async #mtu(address: string, audit: boolean, signal: AbortSignal): Promise<number> {
    if (this.#mtuKnown === undefined || audit) {
      this.#mtuKnown = await this.#options.host.dataPathMtu(address, signal);
    }
    return this.#mtuKnown;
  }

  /**
   * Before anything else of an encrypted network is there, so that nothing goes out in clear; what is
   * left to do of `plan`.
   */
  async #encrypt(
    { networks }: DesiredState,
    audit: boolean,
    plan: Plan,
    problems: Map<string, string>,
    signal: AbortSignal,
  ): Promise<readonly Operation[]> {
    const sealed = networks.filter(({ encryption }) => encryption);
    const asked = JSON.stringify(sealed.map(({ encryption, peers }) => [encryption, peers]));
    if ((sealed.length === 0 || !audit) && asked === this.#encryption) return plan.operations;
    try {
      const changes = await this.#options.host.applyEncryption(networks, signal);
      if (asked === this.#encryption && changes > 0) {
        this.#drift += changes;
        this.#options.logger.log("warn", "encryption between nodes had been changed; repaired", {
          count: changes,
        });
      }
      this.#encryption = asked;
      return plan.operations;
    } catch (error) {
      signal.throwIfAborted();
      this.#encryption = "unknown";
      for (const { id, name } of sealed) {
        if (!problems.has(id)) problems.set(id, `network ${name}: ${messageOf(error)}`);
      }
      const without = new Set(sealed.map(({ id }) => id));
      return plan.operations.filter((operation) =>
        !("network" in operation) || !without.has(operation.network)
      );
    }
  }

  async #listen(desired: DesiredState, plan: Plan, problems: Map<string, string>): Promise<void> {
    const { names } = this.#options;
    const usable = desired.networks.filter(({ id }) => !problems.has(id));
    const anew = new Set(
      plan.operations.flatMap((operation) =>
        operation.op === "create-engine-network" || operation.op === "restore-bridge"
          ? [operation.network]
          : []
      ),
    );
    if (anew.size > 0) {
      await names.listenOn(usable.filter(({ id }) => !anew.has(id)).map(({ gateway }) => gateway));
    }
    const failures = await names.listenOn(usable.map(({ gateway }) => gateway));
    for (const { address, reason } of failures) {
      const network = usable.find(({ gateway }) => gateway === address);
      if (network) problems.set(network.id, `network ${network.name}: ${reason}`);
    }
  }

  #countDrift(
    { operations }: Plan,
    rulesetLost: boolean,
    desired: DesiredState,
    known: ObservedState,
    observed: ObservedState,
  ): void {
    // What the managers changed meanwhile is no drift: it differs from what was known, too.
    const expected = new Set(planOperations(desired, known).operations.map(keyOf));
    const repairs = operations.filter((operation) => !expected.has(keyOf(operation)))
      .map(describeOperation);
    if (known.ipvs && observed.ipvs) {
      const own = observed.ipvs.filter(({ mark }) => isOwnMark(mark));
      repairs.push(
        ...planIpvs(known.ipvs, own).map((operation) => `ipvsadm ${ipvsLine(operation)}`),
      );
    }
    if (rulesetLost) repairs.push("restore the rules of nftables");
    if (repairs.length === 0) return;
    this.#drift += repairs.length;
    this.#options.logger.log("warn", "the node's networks had been changed; repaired", {
      count: repairs.length,
      repairs: repairs.slice(0, MAX_NAMED).join("; "),
    });
  }

  #note(problems: Map<string, string>): void {
    for (const [id, problem] of problems) {
      if (this.#problems.get(id) === problem) continue;
      this.#options.logger.log("error", problem, { network: id });
    }
    this.#problems = problems;
  }
}

/** Without the engine's id, which of a network that was made meanwhile is known only after a look. */
function keyOf(operation: Operation): string {
  return JSON.stringify(
    operation,
    (name, value: unknown) => name === "engineId" ? undefined : value,
  );
}

function ownIpvs({ ipvs = [] }: ObservedState): boolean {
  return ipvs.some(({ mark }) => isOwnMark(mark));
}
