import { createPrivateKey, X509Certificate } from "node:crypto";
import type * as tls from "node:tls";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { parseAddress } from "../rpc/address.ts";
import { BoundedBySource } from "../rpc/bounded_by_source.ts";
import { limitedLogger } from "../rpc/log_limiter.ts";
import { TlsDuplex } from "./tls_duplex.ts";

/** From the accepted connection to the proof of who it is. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Connections without a handshake, over all and of one source; the oldest goes first. */
const MAX_HALF_OPEN = 256;
const MAX_HALF_OPEN_PER_SOURCE = 64;
/** Whoever is connected is root; this only bounds accidents. */
const MAX_CONNECTIONS = 4_096;
/** A refusal may take this long to be read. */
const LINGER_MS = 1_000;
/** Units in the certificates of nodes: a node is no user of the API, whoever signed it. */
const NODE_UNITS = new Set(["swarm-manager", "swarm-worker"]);

/** PEM files, as `docker --tlsverify` has them for its side. */
export interface TlsFiles {
  /** Who signs users' certificates. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface TlsServerOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly address: string;
  readonly files: TlsFiles;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface TlsServer {
  /** The bound address, with the real port. */
  readonly address: string;
  /** Reads the files again, for connections from now on. @throws FleetError invalid, and keeps the old ones */
  reload(): void;
  close(): void;
}

/**
 * Serves the API on TCP for whoever shows a certificate of the given CA. There is no way to have it without:
 * whoever can use the API is root on the machines of the cluster. `serve` is told who it is.
 * @throws FleetError invalid for files that cannot be used, conflict or unavailable for the address
 */
export function serveTls(
  options: TlsServerOptions,
  serve: (connection: TlsDuplex, user: string) => Promise<void>,
): TlsServer {
  const { address, files, clock } = options;
  const logger = limitedLogger(options.logger, clock);
  let settings = tlsSettings(files);
  const { host, port } = parseAddress(address);
  const listener = listen(host, port);
  const halfOpen = new BoundedBySource<Deno.Conn>(MAX_HALF_OPEN, MAX_HALF_OPEN_PER_SOURCE);
  const open = new Set<TlsDuplex>();

  const accept = async (conn: Deno.TcpConn): Promise<void> => {
    const { hostname, port } = conn.remoteAddr;
    const from = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
    if (open.size >= MAX_CONNECTIONS) return close(conn);
    const victim = halfOpen.add(conn, hostname);
    if (victim) close(victim);
    conn.setKeepAlive(true);
    const connection = new TlsDuplex(conn, settings);
    const cancel = clock.after(HANDSHAKE_TIMEOUT_MS, () => connection.close());
    let socket: tls.TLSSocket;
    try {
      socket = await connection.secured;
    } catch (error) {
      logger.log("debug", "no TLS handshake on the API", { from, error: messageOf(error) });
      return connection.close();
    } finally {
      cancel();
      halfOpen.delete(conn);
    }
    open.add(connection);
    try {
      const refusal = refuse(socket);
      if (refusal === undefined) return await serve(connection, userOf(socket));
      logger.log("warn", "an API client was refused", { from, reason: refusal });
      await connection.write(refusalResponse(refusal));
      await connection.finish(LINGER_MS);
    } finally {
      connection.close();
      open.delete(connection);
    }
  };

  void (async () => {
    for await (const conn of listener) {
      accept(conn).catch((error: unknown) =>
        logger.log("debug", "an API connection ended", { error: messageOf(error) })
      );
    }
  })().catch((error: unknown) =>
    options.logger.log("error", "the API's TCP listener ended", { error: messageOf(error) })
  );
  const bound = listener.addr.port;
  return {
    address: host.includes(":") ? `[${host}]:${bound}` : `${host}:${bound}`,
    reload: () => {
      settings = tlsSettings(files);
    },
    close: () => {
      listener.close();
      for (const conn of halfOpen.values()) close(conn);
      for (const connection of open) connection.close();
    },
  };
}

function listen(hostname: string, port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    const taken = error instanceof Deno.errors.AddrInUse;
    throw new FleetError(
      taken ? "conflict" : "unavailable",
      `cannot serve the API on ${hostname}:${port}: ${
        taken ? "the address is in use; choose another --tcp-addr" : messageOf(error)
      }`,
      { cause: error },
    );
  }
}

/** Who it is, in the audit log's words: the certificate's common name. */
function userOf(socket: tls.TLSSocket): string {
  const { CN } = socket.getPeerCertificate().subject as unknown as { CN?: unknown };
  return `certificate ${typeof CN === "string" && CN !== "" ? CN.slice(0, 128) : "without a name"}`;
}

/** Why this client is not served. */
function refuse(socket: tls.TLSSocket): string | undefined {
  const certificate = socket.getPeerCertificate();
  if (certificate?.subject === undefined) {
    return "a client certificate is necessary: docker --tlsverify --tlscert … --tlskey …";
  }
  if (!socket.authorized) {
    return `the client certificate is not valid here (${socket.authorizationError})`;
  }
  const unit = (certificate.subject as unknown as { OU?: unknown }).OU;
  if (typeof unit === "string" && NODE_UNITS.has(unit)) {
    return "this is the certificate of a node, not of a user; use one of another CA";
  }
  return undefined;
}

/** Said without reading a byte of what a stranger sends. */
function refusalResponse(reason: string): Uint8Array {
  const body = JSON.stringify({ message: reason });
  return new TextEncoder().encode(
    `HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: ${
      new TextEncoder().encode(body).length
    }\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** Looks at the files first: the runtime takes any text and then fails every handshake. */
function tlsSettings(files: TlsFiles): tls.TlsOptions {
  const [ca, cert, key] = [
    readPem("--tlscacert", files.ca),
    readPem("--tlscert", files.cert),
    readPem("--tlskey", files.key),
  ];
  try {
    new X509Certificate(ca);
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      throw new Error("the key does not belong to the certificate");
    }
    return {
      ...{ ca, cert, key },
      minVersion: "TLSv1.3",
      requestCert: true,
      // Who shows no good certificate is told so in words.
      rejectUnauthorized: false,
    };
  } catch (error) {
    throw new FleetError(
      "invalid",
      `the API cannot be served with ${files.cert}, ${files.key} and ${files.ca}: ${
        messageOf(error)
      }`,
      { cause: error },
    );
  }
}

function readPem(flag: string, path: string): string {
  try {
    const { mode } = Deno.statSync(path);
    if (flag === "--tlskey" && ((mode ?? 0) & 0o077) !== 0) {
      throw new FleetError("forbidden", `${path} is open to others: chmod 600 ${path}`);
    }
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof FleetError) throw error;
    throw new FleetError("invalid", `${flag} ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed by the other side.
  }
}
