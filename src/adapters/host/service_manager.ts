import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

/** Sends one datagram to the socket of a service manager. @throws when it cannot be sent */
export type SendDatagram = (socket: string, text: string) => Promise<void>;

const encoder = new TextEncoder();

export interface ServiceManagerOptions {
  readonly variable: (name: string) => string | undefined;
  readonly send: SendDatagram;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Beats in the time after which systemd thinks that the process hangs. */
const BEATS = 3;

/**
 * What systemd is told about this process (sd_notify(3)). Does nothing where NOTIFY_SOCKET is not set,
 * that is, under every other supervisor.
 */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #socket: string | undefined;
  /** Time between beats, in milliseconds; undefined without a watchdog. */
  readonly #interval: number | undefined;
  #cancel: () => void = () => {};
  #stopping = false;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#socket = options.variable("NOTIFY_SOCKET") || undefined;
    const microseconds = Number(options.variable("WATCHDOG_USEC") ?? "");
    if (this.#socket && microseconds > 0) this.#interval = microseconds / 1_000 / BEATS;
  }

  /** The API answers; from now on the watchdog is fed. */
  async ready(status: string): Promise<void> {
    await this.#say("READY=1", `STATUS=${oneLine(status)}`, "WATCHDOG=1");
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

  /** A beat is proof that timers fire; a process that hangs sends none. */
  #feed(): void {
    if (this.#interval === undefined || this.#stopping) return;
    this.#cancel();
    this.#cancel = this.#options.clock.after(this.#interval, () => {
      void this.#say("WATCHDOG=1");
      this.#feed();
    });
  }

  async #say(...words: readonly string[]): Promise<void> {
    if (this.#socket === undefined) return;
    try {
      await this.#options.send(this.#socket, words.join("\n"));
    } catch (error) {
      this.#options.logger.log("warn", "systemd could not be told", {
        what: words[0],
        error: messageOf(error),
      });
    }
  }
}

const oneLine = (text: string) => text.replaceAll("\n", " ");

/** Sends from a socket of `folder`, which is there for that moment only. */
export function datagramSender(folder: string): SendDatagram {
  let count = 0;
  return async (socket, text) => {
    const path = `${folder}/notify-${Deno.pid}-${count++}.sock`;
    const own = Deno.listenDatagram({ transport: "unixpacket", path });
    try {
      // An abstract address begins with a zero byte, which NOTIFY_SOCKET writes as @.
      const to = socket.startsWith("@") ? `\0${socket.slice(1)}` : socket;
      await own.send(encoder.encode(text), { transport: "unixpacket", path: to });
    } finally {
      own.close();
      await Deno.remove(path);
    }
  };
}
