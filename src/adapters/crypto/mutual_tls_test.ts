import assert from "node:assert/strict";
import { connect, createServer } from "node:tls";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { createRootCa, crossSign } from "./root_ca.ts";
import { CLUSTER, issueFor } from "./test_support.ts";

interface Credentials {
  readonly certPem: string;
  readonly keyPem: string;
}

interface Seen {
  readonly authorized: boolean;
  readonly subject: Record<string, unknown>;
}

/** One connection with both sides' certificates; what each side saw of the other, or why there is none. */
async function handshake(options: {
  server: Credentials;
  client?: Credentials;
  serverCa: string;
  clientCa: string;
  servername: string;
}): Promise<{ server: Seen; client: Seen } | string> {
  const accepted = Promise.withResolvers<Seen>();
  const server = createServer({
    cert: options.server.certPem,
    key: options.server.keyPem,
    ca: options.serverCa,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
  }, (socket) => {
    accepted.resolve(seen(socket));
    socket.on("error", () => {});
    socket.write("hello");
  });
  server.on("tlsClientError", (error) => accepted.reject(error));
  accepted.promise.catch(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect({
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    servername: options.servername,
    ca: options.clientCa,
    ...(options.client ? { cert: options.client.certPem, key: options.client.keyPem } : {}),
  });
  try {
    // With TLS 1.3 a refused client learns it only when it reads.
    await new Promise<void>((resolve, reject) => {
      socket.once("data", () => resolve());
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed")));
    });
    return { client: seen(socket), server: await accepted.promise };
  } catch (error) {
    return String((error as Error).message);
  } finally {
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

function seen(socket: TLSSocket): Seen {
  const { subject } = socket.getPeerCertificate() as PeerCertificate;
  return { authorized: socket.authorized, subject: { ...subject } };
}

// TLS looks at the real clock.
const nowMs = Date.now();
const root = createRootCa(nowMs);
const manager = issueFor("manager", { root, nowMs, nodeId: "manager1" });
const worker = issueFor("worker", { root, nowMs, nodeId: "worker1" });
const ca = { serverCa: root.certPem, clientCa: root.certPem };

Deno.test("manager and worker meet: each sees the other's node, role and cluster", async () => {
  for (const servername of ["swarm-manager", "swarm-ca", "manager1"]) {
    const met = await handshake({ server: manager, client: worker, ...ca, servername });
    assert.deepEqual(met, {
      client: {
        authorized: true,
        subject: { O: CLUSTER, OU: "swarm-manager", CN: "manager1" },
      },
      server: { authorized: true, subject: { O: CLUSTER, OU: "swarm-worker", CN: "worker1" } },
    }, servername);
  }
});

Deno.test("managers are clients, too", async () => {
  const met = await handshake({ server: manager, client: manager, ...ca, servername: "swarm-ca" });
  assert.ok(typeof met === "object" && met.server.subject["OU"] === "swarm-manager");
});

Deno.test("a worker cannot pose as a manager or as the CA", async () => {
  for (const servername of ["swarm-manager", "swarm-ca"]) {
    const met = await handshake({ server: worker, client: worker, ...ca, servername });
    assert.match(String(met), /name|altname|certificate/i);
  }
});

Deno.test("nobody gets in with another cluster's certificate, an expired one, or none", async () => {
  const foreign = issueFor("manager", { nowMs });
  const expired = issueFor("worker", { root, nowMs: nowMs - 100 * 24 * 3_600_000 });
  for (const client of [foreign, expired, undefined]) {
    const met = await handshake({
      server: manager,
      ...(client ? { client } : {}),
      ...ca,
      servername: "swarm-manager",
    });
    assert.equal(typeof met, "string", JSON.stringify(met));
  }
  const met = await handshake({
    server: foreign,
    client: worker,
    ...ca,
    servername: "swarm-manager",
  });
  assert.equal(typeof met, "string");
});

Deno.test("in a rotation, nodes of the old and the new root meet", async () => {
  const fresh = createRootCa(nowMs);
  const chainPem = crossSign({
    newRootPem: fresh.certPem,
    oldRootPem: root.certPem,
    oldKeyPem: root.keyPem,
  });
  const renewed = issueFor("manager", { root: fresh, nowMs, nodeId: "manager2", chainPem });
  // Everybody still trusts the old root only.
  for (const [server, client] of [[renewed, worker], [manager, renewed]] as const) {
    const met = await handshake({ server, client, ...ca, servername: "swarm-manager" });
    assert.equal(typeof met, "object", String(met));
  }
});
