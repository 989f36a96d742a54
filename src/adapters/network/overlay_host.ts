import { FleetError, messageOf } from "../../base/errors.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";
import type { IpvsService } from "../../core/network/ipvs.ts";
import { TABLE } from "../../core/network/nft_ruleset.ts";
import type { EngineNetwork, ObservedState } from "../../core/network/observed.ts";
import type { Operation } from "../../core/network/operations.ts";
import { NETWORK_LABEL, OPTION } from "../../model/network.ts";
import type { OverlaySupport } from "../../model/node.ts";
import { engineCall, EngineError, engineJson } from "../docker/engine.ts";
import type { EngineApi } from "../docker/engine.ts";
import { portUsers } from "../host/port_users.ts";
import type { UsedPort } from "../host/port_users.ts";
import { EspHost } from "./esp_host.ts";
import type { IpvsHost } from "./ipvs_host.ts";
import {
  interfaceOf,
  normalizeRuleset,
  parseAddresses,
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseRoutes,
  parseTranslated,
} from "./parse.ts";
import { batchFailures, batchLines, explain, isDoneAlready, NO_VXLAN } from "./render.ts";
import { answers } from "./answers.ts";
import { runTool } from "./run_tool.ts";
import { restoreBridge } from "./restore_bridge.ts";

const BRIDGE_NAME = "com.docker.network.bridge.name";
/** Addresses whose datagrams are forgotten after one change; others expire. */
const MAX_FORGOTTEN = 64;
/**
 * What the kernel remembers of clients that nobody has answered, as `conntrack` is asked; all of UDP. Not
 * SYN_RECV: such a client was answered, and its next packet, for which a connection is open, would find
 * another task, which knows nothing of it and resets it.
 */
const UNANSWERED = [
  ["-p", "udp"],
  ["-p", "tcp", "--state", "SYN_SENT"],
];
/** Subnets of its own that a node tells the managers; more than anybody has. */
const MAX_SUBNETS = 64;
/** The last VNI, which no network gets; used for a moment to see whether the kernel can. */
const PROBE = ["link", "add", "fl-probe", "type", "vxlan", "id", "16777215", "dstport", "0"];

/** The engine's chain for rules of others; it leaves them alone. */
const USER_CHAIN = "DOCKER-USER";
/** As `iptables -S` prints them. What may go there, what is answered may come back: to other bridges, too. */
const meshRules = (bridge: string) => [
  `-A ${USER_CHAIN} -o ${bridge} -m conntrack --ctstate DNAT -j ACCEPT`,
  `-A ${USER_CHAIN} -i ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j ACCEPT`,
];
const BRIDGE_OF_RULE = new RegExp(`^-A ${USER_CHAIN} -[io] (fl-\\d+) -m conntrack `);

/** An operation that did not work, and why. */
export interface Failure {
  readonly operation: Operation;
  readonly reason: string;
}

interface EngineNetworkJson {
  readonly Id: string;
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly IPAM?: {
    readonly Config?: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null;
  };
}

/** Overlay networks of this machine: its engine, links, forwarding entries and nftables. */
export class OverlayHost {
  readonly #engine: EngineApi;
  readonly #ipvs: IpvsHost;
  readonly #esp = new EspHost();
  readonly #isMesh: (port: number) => boolean;
  #forgetsSoon = false;

  /** @param isMesh whether the agent listens at a TCP port for the mesh, or for names */
  constructor(
    engine: EngineApi,
    ipvs: IpvsHost,
    isMesh: (port: number) => boolean = () => false,
  ) {
    this.#engine = engine;
    this.#isMesh = isMesh;
    this.#ipvs = ipvs;
  }

  /** Everything there is. @throws FleetError unavailable (no engine, a tool missing) */
  async observe(signal: AbortSignal, leaving = false): Promise<ObservedState> {
    const [links, addresses, neighbours, forwarding, ruleset, ipvs, networks] = await Promise.all([
      this.#show(["ip", "-j", "-d", "link", "show"], signal),
      this.#show(["ip", "-j", "-4", "addr", "show"], signal),
      this.#show(["ip", "-j", "-4", "neigh", "show", "nud", "permanent"], signal),
      this.#show(["bridge", "-j", "fdb", "show"], signal),
      this.listRuleset(signal),
      leaving ? this.#ipvs.observe(signal).catch(() => undefined) : this.#ipvs.observe(signal),
      engineJson<EngineNetworkJson[]>(this.#engine, "GET", "/networks", { signal }),
    ]);
    const ours = networks.filter(({ Labels }) => Labels?.[NETWORK_LABEL] !== undefined);
    return {
      ...parseLinks(links),
      addresses: parseAddresses(addresses),
      neighbours: parseNeighbours(neighbours),
      forwarding: parseForwarding(forwarding),
      ruleset,
      ...(ipvs ? { ipvs } : {}),
      engineNetworks: ours.map(engineNetwork),
      foreignNames: new Set(
        networks.filter((network) => !ours.includes(network)).map(({ Name }) => Name),
      ),
    };
  }

  /** Does the operations in their order; those that fail do not keep others from being done. */
  async execute(operations: readonly Operation[], signal: AbortSignal): Promise<Failure[]> {
    const failures: Failure[] = [];
    let batch: Operation[] = [];
    for (const operation of operations) {
      if (batchLines(operation).length > 0) {
        batch.push(operation);
        continue;
      }
      failures.push(...await this.#batch(batch, signal));
      batch = [];
      try {
        await this.#engineOperation(operation, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof FleetError && error.kind === "unavailable") throw error;
        failures.push({ operation, reason: messageOf(error) });
      }
    }
    failures.push(...await this.#batch(batch, signal));
    return failures;
  }

  /** Puts a script of nftables in force, all of it or nothing; the listing afterwards. */
  async applyRuleset(script: string, signal: AbortSignal): Promise<string> {
    const { success, stderr } = await runTool(["nft", "-f", "-"], signal, script);
    if (!success) throw new FleetError("internal", `nft refused the rules: ${stderr.trim()}`);
    return await this.listRuleset(signal);
  }

  /** Encrypts between nodes for those of the networks that ask for it; the number of changes. */
  async applyEncryption(
    networks: readonly DesiredNetwork[],
    signal: AbortSignal,
  ): Promise<number> {
    return await this.#esp.apply(networks, signal);
  }

  /** Puts the script in force that lets connections be forgotten soon; false where that cannot be. */
  async shortenMemory(script: string, signal: AbortSignal): Promise<boolean> {
    this.#forgetsSoon = (await runTool(["nft", "-f", "-"], signal, script)).success;
    return this.#forgetsSoon;
  }

  /**
   * Whether the kernel still remembers TCP connections to one of the addresses, and will forget them soon;
   * false where it cannot be told.
   */
  async remembers(addresses: readonly string[], signal: AbortSignal): Promise<boolean> {
    if (!this.#forgetsSoon) return false;
    for (const address of addresses) {
      const { stdout } = await runTool(["conntrack", "-L", "-p", "tcp", "-r", address], signal);
      if (stdout.trim() !== "") return true;
    }
    return false;
  }

  /**
   * Ends what the kernel remembers of clients whom tasks that are gone have not answered: it would send
   * what they ask again there, too. That is all of UDP, and of TCP what waits for its first answer.
   */
  async forget(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    const there = new Set(await this.unanswered(signal));
    const waited = addresses.filter((address) => there.has(address)).slice(0, MAX_FORGOTTEN);
    for (const address of waited) {
      // It fails where there is nothing to end any more.
      for (const which of UNANSWERED) {
        await runTool(["conntrack", "-D", ...which, "-r", address], signal);
      }
    }
  }

  /** Real servers that clients wait for whom they have not answered, and all that UDP goes to. */
  async unanswered(signal: AbortSignal): Promise<string[]> {
    const listed = await Promise.all(
      UNANSWERED.map((which) => runTool(["conntrack", "-L", ...which], signal)),
    );
    return parseTranslated(listed.map(({ stdout }) => stdout).join("\n"));
  }

  /** Who listens at these ports on this machine, by `protocol/port`. */
  portUsers(ports: readonly UsedPort[]): Promise<Map<string, string>> {
    return portUsers(ports, this.#isMesh);
  }

  /** Puts a part of the rules in force, all of it or nothing. */
  async patchRuleset(script: string, signal: AbortSignal): Promise<void> {
    const { success, stderr } = await runTool(["nft", "-f", "-"], signal, script);
    if (!success) throw new FleetError("internal", `nft refused the rules: ${stderr.trim()}`);
  }

  /** Makes IPVS hold these services, and whatever others put there. */
  async applyIpvs(services: readonly IpvsService[], signal: AbortSignal): Promise<void> {
    await this.#ipvs.apply(services, signal);
  }

  /** Fleet's table without what changes by itself; empty when there is none. */
  async listRuleset(signal: AbortSignal): Promise<string> {
    const { success, stdout } = await runTool(["nft", "-j", "list", "table", "ip", TABLE], signal);
    return success ? normalizeRuleset(stdout) : "";
  }

  /**
   * The engine drops what goes from outside, or from another bridge, to bridges of its own unless its chain
   * for users lets it through; where an engine keeps no such chain there is nothing to be done.
   */
  async openMesh(bridge: string | undefined, signal: AbortSignal): Promise<void> {
    const listed = await runTool(["iptables", "-w", "5", "-S", USER_CHAIN], signal);
    if (bridge !== undefined) {
      // Else a connection of the node to itself, from 127.0.0.1, could not leave by the bridge.
      await Deno.writeTextFile(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, "1");
    }
    if (!listed.success) return;
    const wanted = bridge === undefined ? [] : meshRules(bridge);
    const rules = listed.stdout.split("\n").filter((line) => {
      const of = BRIDGE_OF_RULE.exec(line)?.[1];
      return of !== undefined && meshRules(of).includes(line);
    });
    for (const rule of rules) {
      if (wanted.includes(rule)) continue;
      const stale = rule.split(" ").slice(1);
      await runTool(["iptables", "-w", "5", "-D", ...stale], signal);
    }
    for (const rule of wanted) {
      if (rules.includes(rule)) continue;
      const added = ["iptables", "-w", "5", "-I", ...rule.split(" ").slice(1)];
      const { success, stderr } = await runTool(added, signal);
      if (!success) throw new FleetError("internal", `${added.join(" ")}: ${stderr.trim()}`);
    }
  }

  /** The largest packet of the interface with the data path's address, in bytes. */
  async dataPathMtu(address: string, signal: AbortSignal): Promise<number> {
    const found = interfaceOf(
      await this.#show(["ip", "-j", "-4", "addr", "show"], signal),
      address,
    );
    if (found) return found.mtu;
    throw new FleetError(
      "unavailable",
      `the data path's address ${address} is on no interface of this node; join again with --data-path-addr`,
    );
  }

  /** What this machine can do for overlay networks, found out by trying. */
  async support(dataPathAddr: string, signal: AbortSignal): Promise<OverlaySupport> {
    try {
      await this.#probe(signal);
      await this.dataPathMtu(dataPathAddr, signal);
      const routes = await this.#show(["ip", "-j", "-4", "route", "show"], signal);
      const { own, routed } = parseRoutes(routes);
      const EncryptionProblem = await this.#esp.problem(signal);
      return {
        Addr: dataPathAddr,
        ...(EncryptionProblem === undefined ? {} : { EncryptionProblem }),
        Subnets: own.slice(0, MAX_SUBNETS),
        ...(routed.length > 0 ? { Routes: routed.slice(0, MAX_SUBNETS) } : {}),
      };
    } catch (error) {
      signal.throwIfAborted();
      return { Addr: dataPathAddr, Problem: messageOf(error) };
    }
  }

  /** Whether a name server answers at `to` over UDP, asked from the own address `from`. */
  answers(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    return answers(from, to, signal);
  }

  /** Whether checksums of what the device sends are left to the hardware below it. */
  async leavesChecksums(device: string, signal: AbortSignal): Promise<boolean> {
    const shown = await runTool(["ethtool", "-k", device], signal);
    return !/^tx-checksumming: off/m.test(shown.stdout);
  }

  async leaveChecksums(device: string, leave: boolean, signal: AbortSignal): Promise<void> {
    const { success, stderr } = await runTool(
      ["ethtool", "-K", device, "tx", leave ? "on" : "off"],
      signal,
    );
    if (!success) throw new FleetError("internal", `ethtool -K ${device} tx: ${stderr.trim()}`);
  }

  async #probe(signal: AbortSignal): Promise<void> {
    const { success } = await runTool(["nft", "-j", "list", "tables"], signal);
    if (!success) {
      throw new FleetError("unavailable", "nftables does not work here: nft list tables fails");
    }
    const { links } = parseLinks(await this.#show(["ip", "-j", "-d", "link", "show"], signal));
    // A device of this kind that is there proves it, without making another one.
    if ([...links.values()].some(({ vxlan }) => vxlan)) return;
    const made = await runTool(["ip", ...PROBE], signal);
    await runTool(["ip", "link", "del", "fl-probe"], signal);
    if (made.success || /File exists/.test(made.stderr)) return;
    const unknown = /not supported|Unknown device type/.test(made.stderr);
    throw new FleetError(
      "unavailable",
      unknown ? NO_VXLAN : `no VXLAN device can be made: ${made.stderr.trim()}`,
    );
  }

  async #show(argv: readonly string[], signal: AbortSignal): Promise<string> {
    const { success, stdout, stderr } = await runTool(argv, signal);
    if (!success) throw new FleetError("internal", `${argv.join(" ")}: ${stderr.trim()}`);
    return stdout;
  }

  async #batch(operations: readonly Operation[], signal: AbortSignal): Promise<Failure[]> {
    const lines = operations.flatMap(batchLines);
    const failures: Failure[] = [];
    for (const tool of ["ip", "bridge"] as const) {
      const own = lines.filter((line) => line.tool === tool);
      if (own.length === 0) continue;
      const script = own.map(({ line }) => line).join("\n") + "\n";
      const { success, stderr } = await runTool([tool, "-force", "-batch", "-"], signal, script);
      if (success) continue;
      for (const [number, said] of batchFailures(stderr)) {
        const line = own[number - 1];
        if (!line || isDoneAlready(line.operation, said)) continue;
        failures.push({ operation: line.operation, reason: explain(line.operation, said) });
      }
    }
    return failures;
  }

  async #engineOperation(operation: Operation, signal: AbortSignal): Promise<void> {
    if (operation.op === "create-engine-network") {
      await engineCall(this.#engine, "POST", "/networks/create", {
        body: engineRequest(operation.spec),
        signal,
      });
    } else if (operation.op === "remove-engine-network") {
      try {
        await engineCall(this.#engine, "DELETE", `/networks/${operation.engineId}`, { signal });
      } catch (error) {
        if (!(error instanceof EngineError && error.status === 404)) throw error;
      }
    } else if (operation.op === "restore-bridge") {
      await restoreBridge(this.#engine, operation.spec, operation.engineId, signal);
    }
  }
}

function engineNetwork({ Id, Name, Labels, Options, IPAM }: EngineNetworkJson): EngineNetwork {
  const config = IPAM?.Config?.[0];
  return {
    engineId: Id,
    name: Name,
    id: Labels?.[NETWORK_LABEL] ?? "",
    bridge: Options?.[BRIDGE_NAME] ?? "",
    subnet: config?.Subnet ?? "",
    gateway: config?.Gateway ?? "",
  };
}

/** The engine's part of a network: a bridge with this node's address as gateway. */
function engineRequest(network: DesiredNetwork): Record<string, unknown> {
  return {
    Name: network.name,
    Driver: "bridge",
    CheckDuplicate: true,
    IPAM: {
      Driver: "default",
      Config: [{ Subnet: network.subnet, Gateway: network.gateway }],
    },
    Options: {
      [BRIDGE_NAME]: network.bridge,
      [OPTION.mtu]: String(network.mtu),
      "com.docker.network.bridge.enable_ip_masquerade": String(!network.internal),
    },
    Labels: { [NETWORK_LABEL]: network.id },
  };
}
