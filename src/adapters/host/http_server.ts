import { FleetError, messageOf } from "../../base/errors.ts";
import { formatHostPort, parseHostPort } from "../../base/addresses.ts";
import type { HostPort } from "../../base/addresses.ts";

export interface HttpServerOptions {
  /** The flag that asked for it, for messages. */
  readonly flag: string;
  /** `host:port`. */
  readonly address: string;
  readonly tls?: { readonly certPem: string; readonly keyPem: string };
  readonly fetch: (request: Request) => Promise<Response>;
  readonly onError: (error: unknown) => void;
}

export interface HttpServer {
  /** `http://host:port`, or https. */
  readonly url: string;
  close(): Promise<void>;
}

/** @throws FleetError invalid (address), conflict (taken), forbidden, not-found (no such address here) */
export function serveHttp(options: HttpServerOptions): HttpServer {
  const { flag, address, tls, fetch, onError } = options;
  const { host, port } = addressOf(flag, address);
  const controller = new AbortController();
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({
      hostname: host,
      port,
      signal: controller.signal,
      onListen: () => {},
      onError: (error) => {
        onError(error);
        return Response.json({ message: "internal error" }, { status: 500 });
      },
      ...(tls ? { cert: tls.certPem, key: tls.keyPem } : {}),
    }, (request) => fetch(request));
  } catch (error) {
    throw refusal(flag, address, error);
  }
  server.finished.catch(onError);
  return {
    url: `${tls ? "https" : "http"}://${formatHostPort({ host, port })}`,
    close: () => {
      controller.abort();
      return server.finished.catch(() => {});
    },
  };
}

function addressOf(flag: string, address: string): HostPort {
  try {
    const found = parseHostPort(address, 0);
    if (found.host !== "" && found.port !== 0) return found;
  } catch {
    // The sentence is the same.
  }
  throw new FleetError(
    "invalid",
    `${flag} ${address}: write it as HOST:PORT, such as 127.0.0.1:2380`,
  );
}

/** What others open: a server on all addresses is reached by one of this machine's. */
export function reachableUrl(url: string, ownAddress: string): string {
  const { protocol, hostname, port } = new URL(url);
  const everywhere = hostname === "0.0.0.0" || hostname === "[::]";
  if (!everywhere || ownAddress === "") return url;
  return `${protocol}//${formatHostPort({ host: ownAddress, port: Number(port) })}`;
}

/** Whether only programs of this machine can connect to it. */
export function isLoopback(address: string): boolean {
  const { host } = parseHostPort(address, 0);
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}

function refusal(flag: string, address: string, error: unknown): FleetError {
  if (error instanceof Deno.errors.AddrInUse) {
    return new FleetError(
      "conflict",
      `${flag} ${address}: another program has this port; choose another one`,
    );
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return new FleetError("not-found", `${flag} ${address}: this machine has no such address`);
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new FleetError("forbidden", `${flag} ${address}: no permission for this port`);
  }
  return new FleetError("invalid", `${flag} ${address}: ${messageOf(error)}`);
}
