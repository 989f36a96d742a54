/**
 * A typed client of fleet's API, for Deno and Node. It uses nothing but `node:http` and `node:https`,
 * which both have.
 */
import { request as httpRequest } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Event, Filters, FleetInfo, Node, Service, ServiceSpec, Task } from "./types.ts";

export type * from "./types.ts";

/** Where the agent listens by default. */
export const DEFAULT_HOST = "unix:///run/fleet/fleet.sock";

export interface FleetClientOptions {
  /** `unix:///path` or `tcp://address:port`; {@link DEFAULT_HOST} without. */
  readonly host?: string;
  /** PEM texts, for an agent on TCP with TLS. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** What the API refused. */
export class FleetApiError extends Error {
  override readonly name = "FleetApiError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** One agent. Connections are made per request; there is nothing to close. */
export class FleetClient {
  readonly #target: { readonly socketPath: string } | {
    readonly host: string;
    readonly port: number;
  };
  readonly #tls: FleetClientOptions["tls"];

  constructor(options: FleetClientOptions = {}) {
    const host = options.host ?? DEFAULT_HOST;
    const unix = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
    const [, address, port] = /^(?:tcp|http|https):\/\/([^/:]+):(\d+)\/?$/.exec(host) ?? [];
    if (unix !== undefined) this.#target = { socketPath: unix };
    else if (address !== undefined) this.#target = { host: address, port: Number(port) };
    else throw new TypeError(`invalid host "${host}": unix:///path or tcp://address:port`);
    this.#tls = options.tls;
  }

  /** The cluster as fleet sees it, with the sentence on how many managers may fail. */
  info(): Promise<FleetInfo> {
    return this.request("GET", "/fleet/info");
  }

  nodes(filters?: Filters): Promise<Node[]> {
    return this.request("GET", "/nodes", { query: filtered(filters) });
  }

  node(reference: string): Promise<Node> {
    return this.request("GET", `/nodes/${encodeURIComponent(reference)}`);
  }

  services(filters?: Filters): Promise<Service[]> {
    return this.request("GET", "/services", { query: { status: true, ...filtered(filters) } });
  }

  service(reference: string): Promise<Service> {
    return this.request("GET", `/services/${encodeURIComponent(reference)}`);
  }

  createService(spec: ServiceSpec): Promise<{ ID: string; Warnings?: string[] | null }> {
    return this.request("POST", "/services/create", { body: spec });
  }

  /** Changes a service as `change` says; somebody else's change in between is not lost, but refused. */
  async updateService(
    reference: string,
    change: (spec: ServiceSpec) => ServiceSpec,
  ): Promise<void> {
    const { ID, Version, Spec } = await this.service(reference);
    await this.request("POST", `/services/${ID}/update`, {
      query: { version: Version.Index },
      body: change(Spec),
    });
  }

  /** Changes the number of replicas. */
  scale(reference: string, replicas: number): Promise<void> {
    return this.updateService(reference, (spec) => ({
      ...spec,
      Mode: { Replicated: { Replicas: replicas } },
    }));
  }

  async removeService(reference: string): Promise<void> {
    await this.request("DELETE", `/services/${encodeURIComponent(reference)}`);
  }

  tasks(filters?: Filters): Promise<Task[]> {
    return this.request("GET", "/tasks", { query: filtered(filters) });
  }

  /** What happens, as it happens, until the signal. */
  async *events(
    filters?: Filters,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Event, void, void> {
    const response = await this.#send("GET", "/events", { query: filtered(filters), ...options });
    response.setEncoding("utf8");
    let rest = "";
    for await (const chunk of response) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as Event;
    }
  }

  /** Any route of the API, with its answer as JSON. @throws FleetApiError */
  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const text = await textOf(await this.#send(method, path, options));
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async #send(method: string, path: string, options: RequestOptions): Promise<IncomingMessage> {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const settings = {
      ...this.#target,
      ...this.#tls,
      method,
      path: path + queryText(options.query),
      headers: body === undefined ? {} : {
        "content-type": "application/json",
        "content-length": new TextEncoder().encode(body).length,
      },
      ...(options.signal ? { signal: options.signal } : {}),
    };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent: ClientRequest = this.#tls
        ? httpsRequest(settings, resolve)
        : httpRequest(settings, resolve);
      sent.on("error", reject);
      sent.end(body);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw new FleetApiError(status, messageIn(await textOf(response)) || `HTTP status ${status}`);
  }
}

function filtered(filters: Filters | undefined): { filters?: string } {
  return filters ? { filters: JSON.stringify(filters) } : {};
}

function queryText(query: RequestOptions["query"]): string {
  const parts = Object.entries(query ?? {}).filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

function messageIn(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? "");
  } catch {
    return text.trim();
  }
}
