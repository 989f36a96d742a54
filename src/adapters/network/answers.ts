// @ts-types="../dns/dns_packet.d.ts"
import packet from "dns-packet";

/** A UDP packet may be lost for no reason: so many are sent, */
const ATTEMPTS = 3;
/** and each is given this long to be answered. */
const ATTEMPT_MS = 700;
const DNS_PORT = 53;

/**
 * Whether anything comes back from the name server at `to` when it is asked from `from`, an address of
 * this machine. What it says does not matter: a packet went there whole, and one came back.
 */
export async function answers(from: string, to: string, signal: AbortSignal): Promise<boolean> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: from, port: 0 });
  const close = () => {
    try {
      socket.close();
    } catch { /* It is closed. */ }
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    // The server's own name: it never asks anybody else for names of addresses on overlay networks.
    const name = `${to.split(".").reverse().join(".")}.in-addr.arpa`;
    const questions = [{ type: "PTR", name, class: "IN" }];
    const question = packet.encode({ type: "query", id: 1, questions });
    const heard = hears(socket, to);
    for (let attempt = 0; attempt < ATTEMPTS && !signal.aborted; attempt++) {
      await socket.send(question, { transport: "udp", hostname: to, port: DNS_PORT });
      const timeout = Promise.withResolvers<false>();
      const timer = setTimeout(() => timeout.resolve(false), ATTEMPT_MS);
      const answered = await Promise.race([heard, timeout.promise]);
      clearTimeout(timer);
      if (answered) return true;
    }
    return false;
  } catch (error) {
    // The device or its address is going away: nobody answers there.
    if (error instanceof Error) return false;
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

async function hears(socket: Deno.DatagramConn, from: string): Promise<boolean> {
  try {
    for (;;) {
      const [, sender] = await socket.receive();
      if (sender.transport === "udp" && sender.hostname === from) return true;
    }
  } catch {
    return false;
  }
}
