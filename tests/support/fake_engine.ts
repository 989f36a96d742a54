import { EngineError } from "../../src/adapters/docker/engine.ts";
import type { EngineApi, EngineCall } from "../../src/adapters/docker/engine.ts";
import { FleetError } from "../../src/base/errors.ts";
import { FakeContainer } from "./fake_container.ts";
import type { CreateBody } from "./fake_container.ts";

type Handler = (params: string[], query: URLSearchParams, call: EngineCall) => Response;

/**
 * A Docker Engine in memory: images and containers with their states, events, and the errors of the real
 * one. Passes the same contract suite (`tests/contract/`).
 */
export class FakeEngine implements EngineApi {
  readonly socket = "/fake/docker.sock";
  /** Images that are here. */
  readonly images = new Set(["busybox"]);
  /** Images that a pull would bring. */
  readonly registry = new Set<string>();
  readonly pulls: { image: string; auth: string | undefined }[] = [];
  readonly containers = new Map<string, FakeContainer>();
  /** The engine's own swarm mode. */
  swarmState = "inactive";
  /** Awaited before every answer: lets a test hold calls that match. */
  beforeAnswer: (method: string, path: string) => Promise<void> | void = () => {};
  #up = true;
  #ids = 0;
  #ports = 32_768;
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();

  /** As `systemctl stop docker`: containers end, connections break. */
  goDown(): void {
    for (const container of this.containers.values()) container.stop();
    this.#up = false;
    for (const stream of this.#streams) stream.error(new TypeError("connection closed"));
    this.#streams.clear();
  }

  comeUp(): void {
    this.#up = true;
  }

  /** Ends every event stream, the engine lives on. */
  breakEvents(): void {
    for (const stream of this.#streams) stream.close();
    this.#streams.clear();
  }

  byName(name: string): FakeContainer | undefined {
    return [...this.containers.values()].find((container) => container.name === name);
  }

  /** `docker rm -f` behind fleet's back. */
  destroy(container: FakeContainer): void {
    container.exit(137);
    this.containers.delete(container.id);
    this.#emit(container, "destroy");
  }

  async request(method: string, path: string, call: EngineCall = {}): Promise<Response> {
    call.signal?.throwIfAborted();
    this.#mustBeUp();
    await this.beforeAnswer(method, path);
    // As the real one: what was asked is done even when nobody waits for the answer.
    this.#mustBeUp();
    const url = new URL(`http://engine${path}`);
    for (const [route, handler] of this.#routes) {
      const match = route.exec(`${method} ${url.pathname}`);
      if (!match) continue;
      const params = match.slice(1).map(decodeURIComponent);
      const response = handler(params, url.searchParams, call);
      call.signal?.throwIfAborted();
      return response;
    }
    throw new EngineError(404, "page not found");
  }

  #mustBeUp(): void {
    if (!this.#up) {
      throw new FleetError("unavailable", `no Docker Engine answers on ${this.socket}`);
    }
  }

  readonly #routes: readonly [RegExp, Handler][] = [
    [/^GET \/_ping$/, () => new Response("OK")],
    [/^GET \/info$/, () => Response.json(this.#info())],
    [/^GET \/images\/(.+)\/json$/, ([name]) => {
      if (!this.images.has(name!.replace(/:latest$/, ""))) {
        throw new EngineError(404, `No such image: ${name}`);
      }
      return Response.json({ Id: `sha256:${name}` });
    }],
    [/^POST \/images\/create$/, (_, query, call) => this.#pull(query, call)],
    [
      /^POST \/containers\/create$/,
      (_, query, { body }) => this.#create(query.get("name") ?? "", body as CreateBody),
    ],
    [/^GET \/containers\/json$/, (_, query) => this.#list(query)],
    [/^GET \/containers\/([^/]+)\/json$/, ([key]) => Response.json(this.#find(key!).inspect())],
    [/^POST \/containers\/([^/]+)\/start$/, ([key]) => {
      const container = this.#find(key!);
      if (container.running) return new Response(null, { status: 304 });
      container.start(new Date().toISOString(), () => this.#ports++);
      return new Response(null, { status: 204 });
    }],
    [/^POST \/containers\/([^/]+)\/stop$/, ([key]) => {
      const container = this.#find(key!);
      if (!container.running) return new Response(null, { status: 304 });
      container.stop();
      return new Response(null, { status: 204 });
    }],
    [/^DELETE \/containers\/([^/]+)$/, ([key], query) => {
      const container = this.#find(key!);
      if (container.running && query.get("force") !== "true") {
        throw new EngineError(409, "You cannot remove a running container");
      }
      this.destroy(container);
      return new Response(null, { status: 204 });
    }],
    [/^POST \/networks\/([^/]+)\/connect$/, ([network], _, { body }) => {
      const { Container, EndpointConfig } = body as {
        Container: string;
        EndpointConfig: unknown;
      };
      this.#find(Container).networks[network!] = EndpointConfig;
      return new Response();
    }],
    [/^GET \/events$/, (_, query, call) => this.#events(query, call)],
  ];

  #find(key: string): FakeContainer {
    const found = this.containers.get(key) ?? this.byName(key);
    if (!found) throw new EngineError(404, `No such container: ${key}`);
    return found;
  }

  #create(name: string, body: CreateBody): Response {
    const holder = this.byName(name);
    if (holder) {
      throw new EngineError(
        409,
        `Conflict. The container name "/${name}" is already in use by container "${holder.id}".`,
      );
    }
    if (!this.images.has((body.Image ?? "").replace(/:latest$/, ""))) {
      throw new EngineError(404, `No such image: ${body.Image}`);
    }
    const id = (++this.#ids).toString(16).padStart(64, "0");
    const container: FakeContainer = new FakeContainer(
      id,
      name,
      body,
      (action) => this.#emit(container, action),
    );
    this.containers.set(id, container);
    return Response.json({ Id: id, Warnings: [] }, { status: 201 });
  }

  #list(query: URLSearchParams): Response {
    const { label = [] } = filtersOf(query);
    const all = query.get("all") === "true";
    return Response.json(
      [...this.containers.values()]
        .filter((container) => (all || container.running) && hasLabels(container, label))
        .map((container) => ({
          Id: container.id,
          Names: [`/${container.name}`],
          Labels: container.body.Labels ?? {},
          State: container.status,
        })),
    );
  }

  #pull(query: URLSearchParams, { headers }: EngineCall): Response {
    const [name, tag] = [query.get("fromImage") ?? "", query.get("tag") ?? "latest"];
    const image = tag === "latest" ? name : `${name}${tag.includes(":") ? "@" : ":"}${tag}`;
    this.pulls.push({ image, auth: headers?.["x-registry-auth"] });
    const lines: unknown[] = [{ status: `Pulling from ${name}` }];
    if (this.registry.has(image)) this.images.add(image);
    else lines.push({ error: `manifest for ${image} not found: manifest unknown` });
    return new Response(lines.map((line) => `${JSON.stringify(line)}\r\n`).join(""));
  }

  #events(query: URLSearchParams, { signal }: EngineCall): Response {
    const filters = filtersOf(query);
    const streams = this.#streams;
    let own: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        own = controller;
        this.#filters.set(controller, filters);
        streams.add(controller);
        signal?.addEventListener("abort", () => {
          if (streams.delete(controller)) controller.error(signal.reason);
        }, { once: true });
      },
      cancel: () => {
        streams.delete(own);
      },
    });
    return new Response(body);
  }

  readonly #filters = new WeakMap<object, Record<string, string[]>>();

  #emit(container: FakeContainer, action: string): void {
    const line = JSON.stringify({
      Type: "container",
      Action: action,
      Actor: { ID: container.id, Attributes: container.body.Labels },
    });
    for (const stream of this.#streams) {
      const { event, label = [] } = this.#filters.get(stream) ?? {};
      if (event && !event.includes(action.split(":")[0]!)) continue;
      if (hasLabels(container, label)) stream.enqueue(new TextEncoder().encode(`${line}\n`));
    }
  }

  #info(): unknown {
    return {
      Name: "fake",
      OSType: "linux",
      Architecture: "x86_64",
      NCPU: 2,
      MemTotal: 4_000_000_000,
      ServerVersion: "20.10.24",
      Labels: ["zone=b", "disk=ssd", "bare"],
      Plugins: { Volume: ["local"], Network: ["overlay", "bridge", "host"], Authorization: null },
      Swarm: { LocalNodeState: this.swarmState },
    };
  }
}

function filtersOf(query: URLSearchParams): Record<string, string[]> {
  return JSON.parse(query.get("filters") ?? "{}") as Record<string, string[]>;
}

function hasLabels(container: FakeContainer, wanted: readonly string[]): boolean {
  return wanted.every((line) => {
    const [key, value] = line.split("=");
    const held = container.body.Labels?.[key!];
    return held !== undefined && (value === undefined || held === value);
  });
}
