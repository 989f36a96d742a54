import { FleetError, messageOf } from "../../base/errors.ts";

/** Nobody waits longer for a machine of the same cluster. */
const REACH_TIMEOUT_MS = 3_000;
const PROBE_TIMEOUT_MS = 700;
/** A datagram may be lost; three of them are not. */
const PROBE_ATTEMPTS = 3;
/** A node listens for the datagrams of the others until none came for so long. */
const ECHO_IDLE_MS = 5_000;
/** IPv4 and UDP headers. */
const HEADER_BYTES = 28;
const MAX_ECHOES = 4_096;

/** Whether a TCP port of another machine takes connections. */
export async function reach(
  address: string,
  port: number,
): Promise<{ readonly ok: boolean; readonly ms: number; readonly why: string }> {
  const started = performance.now();
  const connecting = Deno.connect({ hostname: address, port });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new FleetError("timeout", `no answer in ${REACH_TIMEOUT_MS / 1000} s`)),
    REACH_TIMEOUT_MS,
  );
  try {
    (await Promise.race([connecting, late.promise])).close();
    return { ok: true, ms: Math.round(performance.now() - started), why: "" };
  } catch (error) {
    connecting.then((connection) => connection.close(), () => {});
    return { ok: false, ms: Math.round(performance.now() - started), why: messageOf(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** The one that listens now, by its address. */
const echoes = new Map<string, number>();

/**
 * Sends every datagram back to where it came from, until none came for a while. Resolves to the port:
 * `wanted` when it is free (the data path's own, until the kernel has it for an overlay network), any
 * other else. The wait is short, since the kernel cannot have the port meanwhile.
 */
export function echo(address: string, wanted: number): { readonly port: number } {
  const known = echoes.get(address);
  if (known !== undefined) return { port: known };
  const listen = (port: number) =>
    Deno.listenDatagram({ transport: "udp", hostname: address, port });
  let socket: Deno.DatagramConn;
  try {
    socket = listen(wanted);
  } catch {
    socket = listen(0);
  }
  const { port } = socket.addr as Deno.NetAddr;
  echoes.set(address, port);
  const close = () => {
    echoes.delete(address);
    socket.close();
  };
  let timer = setTimeout(close, ECHO_IDLE_MS);
  void (async () => {
    try {
      for (let i = 0; i < MAX_ECHOES; i++) {
        const [bytes, from] = await socket.receive();
        clearTimeout(timer);
        timer = setTimeout(close, ECHO_IDLE_MS);
        await socket.send(bytes, from);
      }
    } catch {
      // Closed by the timer, or the peer is gone: either way nobody listens any more.
    }
  })();
  return { port };
}

/** Datagrams of several sizes to another machine's echo: which of them come back as they were. */
export async function probe(
  from: string,
  to: string,
  port: number,
  mtu: number,
): Promise<{ readonly bytes: number; readonly ok: boolean; readonly why: string }[]> {
  const results = [];
  for (const size of [100, mtu - HEADER_BYTES]) {
    results.push(await probeOne(from, to, port, size));
  }
  return results;
}

async function probeOne(from: string, hostname: string, port: number, bytes: number) {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: from, port: 0 });
  const payload = crypto.getRandomValues(new Uint8Array(bytes));
  const to = { transport: "udp" as const, hostname, port };
  try {
    for (let attempt = 0; attempt < PROBE_ATTEMPTS; attempt++) {
      await socket.send(payload, to);
      const late = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => late.resolve(undefined), PROBE_TIMEOUT_MS);
      const answer = await Promise.race([socket.receive(), late.promise]);
      clearTimeout(timer);
      if (!answer) continue;
      const same = answer[0].length === bytes && answer[0].every((byte, i) => byte === payload[i]);
      return { bytes, ok: same, why: same ? "" : "the datagram came back changed" };
    }
    return { bytes, ok: false, why: `${PROBE_ATTEMPTS} datagrams were lost` };
  } catch (error) {
    return { bytes, ok: false, why: messageOf(error) };
  } finally {
    socket.close();
  }
}
