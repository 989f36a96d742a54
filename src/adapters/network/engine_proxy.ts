import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { relayedKey } from "../../core/network/relayed_ports.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";
import { localIpv6 } from "./local_addresses.ts";

const PROGRAM = "docker-proxy";
/** Where distributions and Docker's own packages put it, beside PATH, which a service's lacks some of. */
const FOLDERS = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/libexec/docker"];
/** Published ports answer here, too, whatever addresses the node has. */
const TARGET = "127.0.0.1";
/** Processes at once, one for each port. */
const MAX_PROCESSES = 256;
/** Between two starts for one port. */
const RESTART_MS = 5_000;
/** Characters kept of what a process says. */
const MAX_TOLD = 1_000;

/**
 * Runs its arguments as long as somebody holds the pipe that it reads from, so that nothing outlives the
 * agent, however that ends; no signal of a terminal or a service manager ends the watch itself. It lets go
 * of the other pipe, whose end then is that of the program. Descriptor 3 is where the program tells whether
 * it listens ("0", or "1" and why not).
 */
const HELD = `trap "" INT TERM HUP
"$@" 3>&1 2>&1 &
exec >&- 2>&-
read -r _
kill -9 $!
wait`;

export interface EngineProxyOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly logger: Logger;
  /** Where it listens; all of the machine's IPv6 addresses, unless told otherwise. */
  readonly hostname?: string;
  /** Folders with the program, for tests. */
  readonly folders?: readonly string[];
}

interface Process {
  readonly startedAt: number;
  readonly stop: AbortController;
  /** Why it does not answer; of one that starts, why the last one did not. */
  problem: string | undefined;
  ended: boolean;
}

/**
 * Answers at published ports over IPv6 by the proxy that each engine brings for its own ports, which knows
 * SCTP, too, of which Deno has no sockets. It passes clients on to the same port of this node over IPv4,
 * where the kernel balances and drains: which tasks there are is no matter of these processes.
 */
export class EngineProxy {
  readonly #options: EngineProxyOptions;
  readonly #processes = new Map<number, Process>();
  /** By published port: all that was started for it. The next one waits until the port is free. */
  readonly #work = new Map<number, Promise<void>>();

  constructor(options: EngineProxyOptions) {
    this.#options = options;
  }

  /**
   * Answers at these ports and no others, without waiting for it. To be called again and again: a process
   * that has ended is started by that. Why the last one for a port did not answer, by `protocol/port`.
   */
  serve(ports: readonly RelayedPort[]): ReadonlyMap<string, string> {
    const problems = new Map<string, string>();
    const wanted = ports.length > 0 && this.#hasIpv6() ? ports : [];
    const published = new Set(wanted.map((port) => port.published));
    for (const [port, { stop }] of this.#processes) {
      if (published.has(port)) continue;
      this.#processes.delete(port);
      stop.abort();
    }
    for (const port of wanted) {
      const problem = this.#ensure(port);
      if (problem !== undefined) problems.set(relayedKey(port), problem);
    }
    return problems;
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    this.serve([]);
    await Promise.all(this.#work.values());
  }

  #hasIpv6(): boolean {
    return this.#options.hostname !== undefined || localIpv6(Deno.networkInterfaces()).length > 0;
  }

  #ensure(port: RelayedPort): string | undefined {
    const now = this.#options.clock.monotonic();
    const known = this.#processes.get(port.published);
    if (known && !(known.ended && now - known.startedAt >= RESTART_MS)) return known.problem;
    if (!known && this.#processes.size >= MAX_PROCESSES) {
      return `the agent has ${MAX_PROCESSES} processes of ${PROGRAM} already`;
    }
    const process: Process = {
      startedAt: now,
      stop: new AbortController(),
      problem: known?.problem,
      ended: false,
    };
    this.#processes.set(port.published, process);
    const before = this.#work.get(port.published);
    const work: Promise<void> = this.#run(port, process, before).finally(() => {
      if (this.#work.get(port.published) === work) this.#work.delete(port.published);
    });
    this.#work.set(port.published, work);
    return process.problem;
  }

  async #run(port: RelayedPort, process: Process, before?: Promise<void>): Promise<void> {
    try {
      await before;
      const program = await this.#find();
      if (!process.stop.signal.aborted) await this.#hold(program, port, process);
    } catch (error) {
      process.problem = messageOf(error);
    } finally {
      process.ended = true;
    }
    if (process.stop.signal.aborted) return;
    this.#options.logger.log("debug", `${PROGRAM} has ended`, {
      port: port.published,
      reason: process.problem ?? "",
    });
  }

  /** Starts the program, and resolves when it has ended. */
  async #hold(program: string, port: RelayedPort, process: Process): Promise<void> {
    const { hostname = "::" } = this.#options;
    const { signal } = process.stop;
    const child = new Deno.Command("sh", {
      args: [
        ...["-c", HELD, "sh", program, "-proto", port.protocol],
        ...["-host-ip", hostname, "-host-port", `${port.published}`],
        ...["-container-ip", TARGET, "-container-port", `${port.published}`],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const letGo = () => child.stdin.close().catch(() => {});
    const onAbort = () => void letGo();
    signal.addEventListener("abort", onAbort, { once: true });
    const reader = child.stdout.getReader();
    // Should somebody end the watch, there is nothing left to be heard of the program.
    const watched = child.status.then(() => reader.cancel()).catch(() => {});
    try {
      const decoder = new TextDecoder();
      let told = "";
      for (;;) {
        const { value } = await reader.read();
        if (value === undefined) break;
        if (told.length < MAX_TOLD) told += decoder.decode(value, { stream: true });
        if (told.startsWith("0\n")) process.problem = undefined;
      }
      process.problem = reasonOf(told.slice(0, MAX_TOLD), port);
    } finally {
      signal.removeEventListener("abort", onAbort);
      await letGo();
      await watched;
    }
  }

  async #find(): Promise<string> {
    const folders = this.#options.folders ??
      [...new Set([...FOLDERS, ...(Deno.env.get("PATH") ?? "").split(":").filter(Boolean)])];
    for (const folder of folders) {
      const path = `${folder}/${PROGRAM}`;
      const found = await Deno.stat(path).catch(() => undefined);
      if (found?.isFile) return path;
    }
    throw new Error(
      `the engine's program ${PROGRAM} is not installed (looked for in ${folders.join(", ")})`,
    );
  }
}

/** Why a process has ended, of what it said. */
function reasonOf(told: string, { protocol }: RelayedPort): string {
  if (told.startsWith("0\n")) return `${PROGRAM} has ended; it is started again`;
  const reason = told.replace(/^1\n/, "").trim().split("\n")[0] || `${PROGRAM} does not start`;
  // EPROTONOSUPPORT, ESOCKTNOSUPPORT, EAFNOSUPPORT: the module is not loaded, and not by itself.
  return /not supported/.test(reason)
    ? `the kernel has no ${protocol.toUpperCase()} (${reason}): modprobe ${protocol}`
    : reason;
}
