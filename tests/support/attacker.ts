/** What somebody has who reaches a manager's ports, or stole what a node has on its disk. */
import * as net from "node:net";
import * as tls from "node:tls";
import { createKeyAndCsr } from "../../src/adapters/crypto/certificate_request.ts";
import { realClock } from "../../src/adapters/host/real_clock.ts";
import type { LabHost } from "../../src/adapters/lab_hosts/host.ts";
import { connectAnonymously, rpcDialer } from "../../src/adapters/rpc/client.ts";
import { MANAGER_SERVER_NAME, PROTOCOL } from "../../src/adapters/rpc/limits.ts";
import type { RpcCaller, TlsCredentials } from "../../src/adapters/rpc/types.ts";
import { BatchEncoder } from "../../src/adapters/rpc/raft_codec.ts";
import { sendSnapshot } from "../../src/adapters/rpc/raft_snapshot_stream.ts";
import { FleetError } from "../../src/base/errors.ts";
import type { Append } from "../../src/core/raft/message.ts";

/** The credentials on a node's disk. */
export async function stolen(host: LabHost): Promise<TlsCredentials & { readonly nodeId: string }> {
  const read = (name: string) => Deno.readTextFile(`${host.layout.dataDir}/${name}`);
  const { nodeId } = JSON.parse(await read("node.json")) as { nodeId: string };
  return {
    nodeId,
    caPem: await read("ca.crt"),
    certPem: await read("node.crt"),
    keyPem: await read("node.key"),
  };
}

/** Connects to port 2377 of `host` with these credentials. */
export async function dial(host: LabHost, credentials: TlsCredentials): Promise<RpcCaller> {
  const { clusterId } = JSON.parse(
    await Deno.readTextFile(`${host.layout.dataDir}/node.json`),
  ) as { clusterId: string };
  const source = { current: () => credentials, onChange: () => () => {} };
  return await rpcDialer({ credentials: source, clusterId, clock: realClock })
    .connect(`${host.address}:2377`);
}

export function dialAnonymously(host: LabHost): Promise<RpcCaller> {
  return connectAnonymously(`${host.address}:2377`, { clock: realClock, caPem: "unverified" });
}

/** One attempt to join: the manager's answer, or what it said instead. */
export async function tryToJoin(
  host: LabHost,
  token: string,
  request: { readonly csr?: string; readonly [field: string]: unknown } = {},
): Promise<{ readonly nodeId?: string; readonly role?: string; readonly refusal?: FleetError }> {
  const caller = await dialAnonymously(host);
  try {
    const body = { csr: createKeyAndCsr().csrPem, token, ...request };
    return await caller.call("ca.issue", body) as { nodeId: string; role: string };
  } catch (error) {
    if (error instanceof FleetError) return { refusal: error };
    throw error;
  } finally {
    caller.close();
  }
}

/** Later than any term here. */
const FORGED_TERM = 99;

/**
 * What a leader named `from` would say to `to`: an append of a later term, and a snapshot in which it is the only
 * member. The sentence with which it is refused; @throws when what it says is taken.
 */
export async function pretendToLead(
  caller: RpcCaller,
  from: string,
  to: string,
  hello: { readonly joinedIndex: number; readonly starts: number; readonly name: string },
): Promise<FleetError> {
  const stream = caller.open("raft.messages", { hello });
  const batch = new BatchEncoder(from, to);
  const append: Append = {
    ...{ type: "append", from, to, term: FORGED_TERM, prevIndex: 0, prevTerm: 0, entries: [] },
    ...{ commit: 0, expect: 0 },
  };
  batch.add(append);
  await stream.send(batch.take()).catch(() => {});
  const meta = { index: 1_000_000, term: FORGED_TERM, conf: { voters: [from], learners: [] } };
  const snapshot = { meta, data: new Uint8Array(100) };
  const sent = await sendSnapshot(
    caller,
    { type: "snapshot", from, to, term: FORGED_TERM, snapshot },
    realClock,
  ).then(() => true, () => false);
  if (sent) throw new Error("the snapshot was taken");
  try {
    for await (const _ of stream) { /* its hello, its answers */ }
  } catch (error) {
    if (error instanceof FleetError) return error;
    throw error;
  }
  throw new Error("the stream ended without a refusal");
}

/** A TLS connection to port 2377 that then says whatever it wants. */
export async function rawTls(
  host: LabHost,
  own?: Pick<TlsCredentials, "certPem" | "keyPem">,
): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: host.address,
    port: 2377,
    servername: MANAGER_SERVER_NAME,
    ALPNProtocols: [PROTOCOL],
    rejectUnauthorized: false,
    ...(own ? { cert: own.certPem, key: own.keyPem } : {}),
  });
  socket.on("error", () => {});
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.once("secureConnect", () => resolve());
    socket.once("close", () => resolve());
  });
  return socket;
}

/** A TCP connection that says nothing; resolves once it is open or was refused. */
export async function halfOpen(host: LabHost): Promise<net.Socket> {
  const socket = net.connect(2377, host.address);
  socket.on("error", () => {});
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.once("connect", () => resolve());
    socket.once("close", () => resolve());
  });
  return socket;
}

/** Bytes on the API's socket, and all that comes back until it closes or a second has passed in silence. */
export async function rawHttp(host: LabHost, bytes: string | Uint8Array): Promise<string> {
  const socket = net.connect(host.layout.fleetSocket);
  let said = "";
  const ended = new Promise<void>((resolve) => {
    let timer = setTimeout(resolve, 1_000);
    socket.on("data", (chunk: Uint8Array) => {
      said += new TextDecoder("latin1").decode(chunk);
      clearTimeout(timer);
      timer = setTimeout(resolve, 1_000);
    });
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.on("error", () => {});
  });
  socket.write(typeof bytes === "string" ? Uint8Array.from(bytes, (c) => c.charCodeAt(0)) : bytes);
  await ended;
  socket.destroy();
  return said;
}

/** Resident memory of a process in MiB. */
export function memoryOf(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`));
  return Number(line?.[1] ?? 0) / 1024;
}
