/** A TLS socket as the byte pipe of a connection. */
import type { TLSSocket } from "node:tls";
import type { Channel, ChannelEvents } from "./connection.ts";

/**
 * Never pauses the socket: under Deno a paused TLS socket keeps reading into memory, so it is the
 * streams' windows that bound what a peer may send.
 */
export function socketChannel(socket: TLSSocket): Channel {
  let error: Error | undefined;
  let closed = false;
  return {
    write: (bytes) => closed || socket.write(bytes),
    get backlogBytes() {
      return socket.writableLength;
    },
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
    start(events: ChannelEvents) {
      const close = () => {
        if (closed) return;
        closed = true;
        socket.destroy();
        events.onClose(error);
      };
      socket.setNoDelay(true);
      socket.on("data", (chunk: Uint8Array) => {
        events.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      });
      socket.on("drain", () => events.onDrain());
      socket.on("error", (cause: Error) => {
        error ??= cause;
      });
      // The peer's end is the end: half-closing is done per stream.
      socket.on("end", close);
      socket.on("close", close);
      if (socket.destroyed) queueMicrotask(close);
    },
  };
}
