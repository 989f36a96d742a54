import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

/** Runs a program to its end. @throws when it cannot be run or fails */
export type RunProgram = (program: string, args: readonly string[]) => Promise<void>;

export interface ServiceManagerOptions {
  readonly variable: (name: string) => string | undefined;
  readonly run: RunProgram;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What systemd is told about this process (sd_notify(3)). The runtime has no datagram sockets on
 * paths, so `systemd-notify` carries the words; the unit allows that by NotifyAccess=all. Does nothing
 * where NOTIFY_SOCKET is not set, that is, under every other supervisor.
 */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #present: boolean;
  /** Half of systemd's patience, in milliseconds; undefined without a watchdog. */
  readonly #interval: number | undefined;
  #cancel: () => void = () => {};
  #stopping = false;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#present = Boolean(options.variable("NOTIFY_SOCKET"));
    const microseconds = Number(options.variable("WATCHDOG_USEC") ?? "");
    this.#interval = this.#present && microseconds > 0 ? microseconds / 2_000 : undefined;
  }

  /** The API answers; from now on the watchdog is fed. */
  async ready(status: string): Promise<void> {
    await this.#say("READY=1", `STATUS=${oneLine(status)}`);
    this.#feed();
  }

  async reloading(): Promise<void> {
    await this.#say("RELOADING=1");
  }

  async stopping(): Promise<void> {
    this.#stopping = true;
    this.#cancel();
    await this.#say("STOPPING=1");
  }

  /** A beat is proof that timers fire and programs can be started; a process that hangs sends none. */
  #feed(): void {
    if (this.#interval === undefined || this.#stopping) return;
    this.#cancel();
    this.#cancel = this.#options.clock.after(this.#interval, () => {
      void this.#say("WATCHDOG=1").then(() => this.#feed());
    });
  }

  async #say(...words: readonly string[]): Promise<void> {
    if (!this.#present) return;
    try {
      await this.#options.run("systemd-notify", words);
    } catch (error) {
      this.#options.logger.log("warn", "systemd could not be told", {
        what: words[0],
        error: messageOf(error),
      });
    }
  }
}

const oneLine = (text: string) => text.replaceAll("\n", " ");

/** Runs `program` without input or output. */
export const runProgram: RunProgram = async (program, args) => {
  const { success, code, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`${program} ended with ${code}: ${new TextDecoder().decode(stderr).trim()}`);
  }
};
