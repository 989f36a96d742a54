import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

/** The machine's part; `src/adapters/network` implements it. */
export interface OffloadHost {
  /** Whether a name server answers at `to` over UDP, asked from the own address `from`. */
  answers(from: string, to: string, signal: AbortSignal): Promise<boolean>;
  /** Whether checksums of what the device sends are left to the hardware below it. */
  leavesChecksums(device: string, signal: AbortSignal): Promise<boolean>;
  leaveChecksums(device: string, leave: boolean, signal: AbortSignal): Promise<void>;
}

/** An overlay network of this node, as far as a probe needs it. */
export interface ProbedNetwork {
  readonly vxlan: string;
  readonly gateway: string;
  readonly peers: readonly { readonly nodeId: string; readonly gateway: string }[];
}

export interface OffloadProbeOptions {
  readonly host: OffloadHost;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks are at least this far apart. */
const LOOK_EVERY_MS = 5_000;
/** A peer that has not answered in so many looks is named in the log and left alone. */
const MAX_LOOKS = 8;
/** The peer's name server may not be up at the first look: only after so many is it the path. */
const PATIENT_LOOKS = 2;

/**
 * Some network cards, virtual ones above all, promise to finish the checksums of packets inside VXLAN
 * and do not. Whatever this node sends then arrives damaged and is dropped, although the kernel's own
 * ICMP goes through. This asks the name server of each other node over the overlay, by UDP. If there is
 * no answer it lets the kernel finish the checksums and asks again.
 *
 * - `hardware`: nothing is wrong as far as is known.
 * - `trial`: somebody did not answer; the kernel finishes checksums until somebody does.
 * - `kernel`: it was that: it stays so while the device lives.
 */
export class OffloadProbe {
  readonly #options: OffloadProbeOptions;
  readonly #proven = new Set<string>();
  readonly #looks = new Map<string, number>();
  #mode: "hardware" | "trial" | "kernel" = "hardware";
  #known = false;
  #nextLook = -Infinity;

  constructor(options: OffloadProbeOptions) {
    this.#options = options;
  }

  get mode(): "hardware" | "trial" | "kernel" {
    return this.#mode;
  }

  /** Looks at peers that have not been proven yet; never throws. One call at a time. */
  async look(networks: readonly ProbedNetwork[], signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    if (networks.length === 0 || clock.monotonic() < this.#nextLook) return;
    this.#nextLook = clock.monotonic() + LOOK_EVERY_MS;
    try {
      await this.#look(networks, signal);
    } catch (error) {
      if (!signal.aborted) {
        logger.log("debug", "checksums on overlay networks could not be looked at", {
          error: messageOf(error),
        });
      }
    }
  }

  async #look(networks: readonly ProbedNetwork[], signal: AbortSignal): Promise<void> {
    if (!this.#known) await this.#recall(networks, signal);
    // Devices that were made since are like the others.
    if (this.#mode !== "hardware") await this.#leave(networks, false, signal);
    const present = new Set(networks.flatMap(({ peers }) => peers.map(({ nodeId }) => nodeId)));
    for (const id of [...this.#proven]) if (!present.has(id)) this.#proven.delete(id);
    for (const id of [...this.#looks.keys()]) if (!present.has(id)) this.#looks.delete(id);
    for (const nodeId of present) {
      if (this.#proven.has(nodeId) || (this.#looks.get(nodeId) ?? 0) >= MAX_LOOKS) continue;
      await this.#lookAt(nodeId, networks, signal);
    }
    // Nobody is left who might have answered: it was not the checksums.
    const open = [...this.#looks.values()].some((looks) => looks < MAX_LOOKS);
    if (this.#mode === "trial" && !open) {
      this.#mode = "hardware";
      await this.#leave(networks, true, signal);
    }
  }

  /** An earlier agent of this node may have found out. */
  async #recall(networks: readonly ProbedNetwork[], signal: AbortSignal): Promise<void> {
    for (const { vxlan } of networks) {
      if (!await this.#options.host.leavesChecksums(vxlan, signal)) this.#mode = "kernel";
    }
    this.#known = true;
  }

  async #lookAt(
    nodeId: string,
    networks: readonly ProbedNetwork[],
    signal: AbortSignal,
  ): Promise<void> {
    const { host, logger } = this.#options;
    const network = networks.find(({ peers }) => peers.some((peer) => peer.nodeId === nodeId))!;
    const to = network.peers.find((peer) => peer.nodeId === nodeId)!.gateway;
    const answers = () => host.answers(network.gateway, to, signal);
    const looks = (this.#looks.get(nodeId) ?? 0) + 1;
    this.#looks.set(nodeId, looks);
    let answered = await answers();
    if (this.#mode === "hardware" && !answered && looks > PATIENT_LOOKS) {
      this.#mode = "trial";
      await this.#leave(networks, false, signal);
      answered = await answers();
    }
    if (!answered) {
      if (looks < MAX_LOOKS) return;
      logger.log(
        "warn",
        `node ${nodeId} does not answer on the overlay networks; is UDP open for the data path between the nodes?`,
        { node: nodeId, address: to },
      );
      return;
    }
    this.#looks.delete(nodeId);
    this.#proven.add(nodeId);
    if (this.#mode !== "trial") return;
    // It answers now; was it that? The peer may just have become ready.
    await this.#leave(networks, true, signal);
    if (await answers()) {
      this.#mode = "hardware";
      return;
    }
    this.#mode = "kernel";
    await this.#leave(networks, false, signal);
    logger.log(
      "warn",
      "packets of overlay networks arrive damaged when the network card finishes their checksums; the kernel does it from now on",
      { node: nodeId },
    );
  }

  async #leave(
    networks: readonly ProbedNetwork[],
    leave: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { host } = this.#options;
    for (const { vxlan } of networks) {
      if (await host.leavesChecksums(vxlan, signal) !== leave) {
        await host.leaveChecksums(vxlan, leave, signal);
      }
    }
  }
}
