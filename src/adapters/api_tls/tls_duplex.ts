import { Buffer } from "node:buffer";
import { Duplex as NodeDuplex } from "node:stream";
import * as tls from "node:tls";

/** Clear text that waits for its reader; the client is not read from while there is more. */
const MAX_UNREAD_BYTES = 256 * 1024;
/** Encrypted bytes that wait for the client; `write` waits while there are more. */
const MAX_UNSENT_BYTES = 256 * 1024;
const READ_BYTES = 64 * 1024;

/**
 * The server's end of one TLS connection, as something that is read when the reader wants to. TLS runs over a
 * stream of ours and not over the runtime's socket, because a paused TLS socket of the runtime goes on
 * reading: an image that a client loads faster than the engine takes it would pile up in memory.
 */
export class TlsDuplex {
  /** Resolves after the handshake; rejects when the other side went away or does not speak TLS. */
  readonly secured: Promise<tls.TLSSocket>;
  readonly #conn: Deno.Conn;
  readonly #wire: NodeDuplex;
  #socket: tls.TLSSocket | undefined;
  readonly #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #unsentBytes = 0;
  #ended = false;
  #closed = false;
  /** Fails the write that is under way: its callback does not come on a closed connection. */
  #failWrite: () => void = () => {};
  #changed = Promise.withResolvers<void>();
  readonly #rejectHandshake: (error: Error) => void;

  constructor(conn: Deno.Conn, options: tls.TlsOptions) {
    this.#conn = conn;
    this.#wire = this.#makeWire();
    const secured = Promise.withResolvers<tls.TLSSocket>();
    this.secured = secured.promise;
    this.secured.catch(() => {});
    this.#rejectHandshake = secured.reject;
    // A server that never listens: it makes the handshake, and judges the certificate, on our stream.
    const server = tls.createServer(options);
    server.once("tlsClientError", (error: Error) => {
      secured.reject(error);
      this.close();
    });
    server.once("secureConnection", (socket: tls.TLSSocket) => {
      this.#attach(socket);
      secured.resolve(socket);
    });
    server.emit("connection", this.#wire);
    void this.#feed();
  }

  #attach(socket: tls.TLSSocket): void {
    this.#socket = socket;
    socket.on("error", () => this.close());
    socket.once("close", () => this.close());
    socket.on("data", (bytes: Uint8Array) => {
      this.#unread.push(bytes);
      this.#unreadBytes += bytes.length;
      this.#tell();
    });
    socket.once("end", () => {
      this.#ended = true;
      this.#tell();
    });
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      const first = this.#unread[0];
      if (first) {
        const taken = Math.min(first.length, buffer.length);
        buffer.set(first.subarray(0, taken));
        if (taken === first.length) this.#unread.shift();
        else this.#unread[0] = first.subarray(taken);
        this.#unreadBytes -= taken;
        this.#tell();
        return taken;
      }
      if (this.#ended || this.#closed) return null;
      await this.#changed.promise;
    }
  }

  async write(bytes: Uint8Array): Promise<number> {
    const socket = this.#socket;
    if (this.#closed || !socket) throw new Error("the client is gone");
    // The caller goes on using its buffer.
    const copy = Buffer.from(bytes);
    await new Promise<void>((resolve, reject) => {
      socket.write(copy, (error) => error ? reject(error) : resolve());
      this.#failWrite = () => reject(new Error("the client is gone"));
    });
    while (this.#unsentBytes > MAX_UNSENT_BYTES) {
      if (this.#closed) throw new Error("the client is gone");
      await this.#changed.promise;
    }
    return bytes.length;
  }

  closeWrite(): Promise<void> {
    if (!this.#closed) this.#socket?.end();
    return Promise.resolve();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectHandshake(new Error("the connection was closed"));
    this.#socket?.destroy();
    this.#wire.destroy();
    try {
      this.#conn.close();
    } catch {
      // Closed by the other side.
    }
    this.#failWrite();
    this.#tell();
  }

  /** Ends politely: what was written still goes out, at most for a moment. */
  async finish(timeoutMs: number): Promise<void> {
    this.#socket?.end();
    const timer = setTimeout(() => this.close(), timeoutMs);
    const sink = new Uint8Array(READ_BYTES);
    while (await this.read(sink).catch(() => null) !== null);
    clearTimeout(timer);
    this.close();
  }

  #makeWire(): NodeDuplex {
    return new NodeDuplex({
      read: () => {},
      write: (chunk: Uint8Array, _encoding, done) => {
        this.#unsentBytes += chunk.length;
        this.#send(chunk).then(() => done(), done);
      },
      final: (done) => {
        this.#conn.closeWrite().then(() => done(), () => done());
      },
    });
  }

  async #send(chunk: Uint8Array): Promise<void> {
    for (let sent = 0; sent < chunk.length;) sent += await this.#conn.write(chunk.subarray(sent));
    this.#unsentBytes -= chunk.length;
    this.#tell();
  }

  /** Passes encrypted bytes on as long as somebody reads the clear ones. */
  async #feed(): Promise<void> {
    try {
      for (;;) {
        while (this.#unreadBytes > MAX_UNREAD_BYTES && !this.#closed) await this.#changed.promise;
        if (this.#closed) return;
        const buffer = Buffer.alloc(READ_BYTES);
        const count = await this.#conn.read(buffer);
        if (this.#closed) return;
        if (count === null) return void this.#wire.push(null);
        this.#wire.push(buffer.subarray(0, count));
        // What was pushed becomes clear text in later turns; it must be counted before more is read.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch {
      this.close();
    }
  }

  #tell(): void {
    const before = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    before.resolve();
  }
}
