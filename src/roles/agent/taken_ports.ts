import type { PublishedServer } from "../../core/network/balancer.ts";

type Port = { readonly protocol: "tcp" | "udp" | "sctp"; readonly port: number };

/** What the mesh may do. */
export interface TakenLook {
  /** Ports that it may answer at. */
  readonly free: readonly PublishedServer[];
  /** A sentence for each that somebody else listens at, by `protocol/port`. */
  readonly problems: ReadonlyMap<string, string>;
}

/**
 * Published ports that a program of this machine listens at. The mesh leaves those to it: whoever
 * publishes port 22 shall not lock everybody out. A port that the mesh has answered at is kept, whatever
 * begins to listen there later; that is named all the same.
 */
export class TakenPorts {
  readonly #users: (ports: readonly Port[]) => Promise<ReadonlyMap<string, string>>;
  #held: ReadonlySet<string> = new Set();
  #known = "";
  #looked: ReadonlySet<string> = new Set();
  #found: ReadonlyMap<string, string> = new Map();

  constructor(users: (ports: readonly Port[]) => Promise<ReadonlyMap<string, string>>) {
    this.#users = users;
  }

  /** Whether the port was among those that were looked at last. */
  hasLooked({ protocol, published }: { readonly protocol: string; readonly published: number }) {
    return this.#looked.has(`${protocol}/${published}`);
  }

  async look(
    published: readonly PublishedServer[],
    audit: boolean,
  ): Promise<TakenLook> {
    const asked = published.map(keyOf).join();
    if (asked !== this.#known || (audit && published.length > 0)) {
      this.#found = published.length === 0 ? new Map() : await this.#users(
        published.map(({ protocol, published: port }) => ({ protocol, port })),
      );
      this.#known = asked;
    }
    this.#looked = new Set(published.map(keyOf));
    const problems = new Map<string, string>();
    const free = published.filter((server) => {
      const key = keyOf(server);
      const user = this.#found.get(key);
      if (user === undefined) return true;
      const what = `port ${server.published}/${server.protocol} of service ${server.name}`;
      const held = this.#held.has(key);
      problems.set(
        key,
        held
          ? `${what} is answered by the mesh, so ${user} on this node, which listens there, is not reached`
          : `${what} is in use by ${user} on this node: end that, or publish another port`,
      );
      return held;
    });
    this.#held = new Set(free.map(keyOf));
    return { free, problems };
  }
}

const keyOf = ({ protocol, published }: PublishedServer) => `${protocol}/${published}`;
