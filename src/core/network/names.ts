/**
 * Service discovery as a pure function: who asks, for which name, decides the answer. The rules are
 * those of Docker Swarm (service names and aliases, `tasks.<service>`, task names, `<name>.<network>`);
 * the wire format and forwarding are in `src/adapters/dns/`.
 */

import { addressOfReverseName, parseRange, within } from "./reverse_names.ts";
import type { Range } from "./reverse_names.ts";

/** Everything that can be resolved on a node: the overlay networks that are present there. */
export interface NameTable {
  /** Searched in this order; the first network that knows a name answers. */
  readonly networks: readonly NetworkNames[];
}

export interface NetworkNames {
  readonly id: string;
  readonly name: string;
  /** In CIDR form; a reverse look-up inside them is never forwarded. */
  readonly subnets: readonly string[];
  /** Nobody whose address is here, and of whom no more is known, is told of the world outside. */
  readonly internal?: boolean;
  readonly services: readonly ServiceNames[];
  readonly endpoints: readonly EndpointNames[];
}

export interface ServiceNames {
  readonly name: string;
  /** The service's aliases on this network. */
  readonly aliases: readonly string[];
  /** Empty with endpoint mode dnsrr: the name then stands for the serving tasks. */
  readonly vips: readonly string[];
}

/** One container's place on a network: a task, or a plain container on an attachable network. */
export interface EndpointNames {
  /** Task or container id: the same on every network it is on. */
  readonly owner: string;
  /** The service's name; undefined for a plain container. */
  readonly service?: string;
  /** The container's name, its hostname, its short id: each means this endpoint alone. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** Running, healthy and not being drained: only then its address stands for the service. */
  readonly serving: boolean;
  /** The container's own `--dns` servers; they replace the host's for what is not ours to answer. */
  readonly nameservers?: readonly string[];
  /**
   * On internal networks only. Such a container has no way out, and questions that are passed on are one:
   * names can carry anything.
   */
  readonly confined?: boolean;
}

export interface Question {
  /** Without the root's dot; any case. */
  readonly name: string;
  /** `A`, `AAAA`, `PTR`, … */
  readonly type: string;
}

export type NameAnswer =
  | { readonly kind: "addresses"; readonly addresses: readonly string[]; readonly ttl: number }
  | { readonly kind: "names"; readonly names: readonly string[]; readonly ttl: number }
  /** The name exists, but has no record of that type (NOERROR without answers). */
  | { readonly kind: "empty" }
  /** No such name, and nobody else is to be asked (NXDOMAIN). */
  | { readonly kind: "absent" }
  /** Not ours: ask these servers, or the host's when there are none. */
  | { readonly kind: "forward"; readonly nameservers?: readonly string[] };

/** Seconds. A virtual address stays for the life of its service. */
export const VIP_TTL = 5;
/** Seconds. A task's address may be gone in the next second; zero would upset some resolvers. */
export const TASK_TTL = 1;

const TASKS_PREFIX = "tasks.";

interface Found {
  readonly addresses: readonly string[];
  readonly ttl: number;
}

interface NetworkIndex {
  readonly name: string;
  readonly byName: ReadonlyMap<string, Found>;
  /** Address -> fully qualified names. */
  readonly byAddress: ReadonlyMap<string, readonly string[]>;
  readonly ranges: readonly Range[];
  readonly internal: boolean;
}

interface Asker {
  readonly networks: readonly NetworkIndex[];
  readonly confined: boolean;
  readonly nameservers?: readonly string[];
}

/** A {@link NameTable} prepared for look-ups; immutable, replaced as a whole when the table changes. */
export class NameIndex {
  readonly #askers = new Map<string, Asker>();
  readonly #networks: readonly NetworkIndex[];

  constructor(table: NameTable) {
    const indexed = table.networks.map((network) => ({ network, index: indexNetwork(network) }));
    this.#networks = indexed.map(({ index }) => index);
    const joined = new Map<string, NetworkIndex[]>();
    for (const { network, index } of indexed) {
      for (const { owner } of network.endpoints) {
        const of = joined.get(owner) ?? [];
        if (!of.includes(index)) of.push(index);
        joined.set(owner, of);
      }
    }
    for (const { network } of indexed) {
      for (const endpoint of network.endpoints) {
        for (const address of endpoint.addresses) {
          this.#askers.set(address, {
            networks: joined.get(endpoint.owner) ?? [],
            confined: endpoint.confined ?? false,
            ...(endpoint.nameservers?.length ? { nameservers: endpoint.nameservers } : {}),
          });
        }
      }
    }
  }

  /** What the container with the address `asker` is told. Addresses come in the table's order. */
  answer(asker: string, question: Question): NameAnswer {
    const networks = this.#askers.get(asker)?.networks ?? [];
    const name = question.name.toLowerCase().replace(/\.$/, "");
    const reverse = addressOfReverseName(name);
    if (reverse !== undefined) return this.#reverse(asker, networks, reverse, question.type);
    const found = find(networks, name);
    if (found) return ofType(found, question.type);
    // A name that only others may know is denied here: asking the world for it would tell the world.
    if (!isQualified(name) && find(this.#networks, name)) return { kind: "absent" };
    return this.#forward(asker);
  }

  /** Not ours: for others to answer, if the asker may hear of others. */
  #forward(asker: string): NameAnswer {
    const who = this.#askers.get(asker);
    const confined = who?.confined ??
      this.#networks.some(({ internal, ranges }) =>
        internal && ranges.some((range) => within(range, asker))
      );
    if (confined) return { kind: "absent" };
    return { kind: "forward", ...(who?.nameservers ? { nameservers: who.nameservers } : {}) };
  }

  #reverse(
    asker: string,
    networks: readonly NetworkIndex[],
    address: string,
    type: string,
  ): NameAnswer {
    for (const network of networks) {
      const names = network.byAddress.get(address);
      if (!names) continue;
      return type === "PTR" || type === "ANY"
        ? { kind: "names", names, ttl: TASK_TTL }
        : { kind: "empty" };
    }
    const ours = this.#networks.some(({ ranges }) =>
      ranges.some((range) => within(range, address))
    );
    return ours ? { kind: "absent" } : this.#forward(asker);
  }
}

function indexNetwork(network: NetworkNames): NetworkIndex {
  const byName = new Map<string, Found>();
  const byAddress = new Map<string, string[]>();
  const point = (address: string, name: string) => {
    const names = byAddress.get(address) ?? [];
    if (!names.length) byAddress.set(address, names);
    const qualified = `${name}.${network.name}`;
    if (!names.includes(qualified)) names.push(qualified);
  };
  /** Earlier kinds of names win over later ones; names of one kind share their addresses. */
  const define = (names: ReadonlyMap<string, Found>) => {
    for (const [name, found] of names) if (!byName.has(name)) byName.set(name, found);
  };
  const serving = new Map<string, string[]>();
  for (const endpoint of network.endpoints) {
    if (endpoint.service === undefined || !endpoint.serving) continue;
    const key = endpoint.service.toLowerCase();
    const of = serving.get(key);
    if (of) of.push(...endpoint.addresses);
    else serving.set(key, [...endpoint.addresses]);
  }
  const services = new Map<string, Found>();
  const aliases = new Map<string, Found>();
  const tasks = new Map<string, Found>();
  const endpoints = new Map<string, Found>();
  for (const service of network.services) {
    const of = serving.get(service.name.toLowerCase()) ?? [];
    const whole = service.vips.length
      ? { addresses: service.vips, ttl: VIP_TTL }
      : { addresses: of, ttl: TASK_TTL };
    add(services, service.name, whole);
    add(tasks, TASKS_PREFIX + service.name, { addresses: of, ttl: TASK_TTL });
    for (const alias of service.aliases) {
      add(aliases, alias, whole);
      add(tasks, TASKS_PREFIX + alias, { addresses: of, ttl: TASK_TTL });
    }
    for (const vip of service.vips) point(vip, service.name);
  }
  for (const endpoint of network.endpoints) {
    for (const name of endpoint.names) {
      add(endpoints, name, { addresses: endpoint.addresses, ttl: TASK_TTL });
    }
    const [first] = endpoint.names;
    if (first !== undefined) { for (const address of endpoint.addresses) point(address, first); }
  }
  for (const kind of [services, aliases, tasks, endpoints]) define(kind);
  return {
    name: network.name.toLowerCase(),
    byName,
    byAddress,
    internal: network.internal ?? false,
    ranges: network.subnets.flatMap((subnet) => parseRange(subnet) ?? []),
  };
}

function add(names: Map<string, Found>, name: string, found: Found): void {
  const key = name.toLowerCase();
  const before = names.get(key);
  names.set(
    key,
    before === undefined ? found : {
      addresses: [...new Set([...before.addresses, ...found.addresses])],
      ttl: Math.min(before.ttl, found.ttl),
    },
  );
}

/** The whole name on every network first, then every split into `<name>.<network>`. */
function find(networks: readonly NetworkIndex[], name: string): Found | undefined {
  for (const network of networks) {
    const found = network.byName.get(name);
    if (found) return found;
  }
  for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1)) {
    const on = name.slice(dot + 1);
    for (const network of networks) {
      if (network.name !== on) continue;
      const found = network.byName.get(name.slice(0, dot));
      if (found) return found;
    }
  }
  return undefined;
}

function ofType(found: Found, type: string): NameAnswer {
  const wanted = found.addresses.filter((address) =>
    type === "ANY" || type === (address.includes(":") ? "AAAA" : "A")
  );
  return wanted.length
    ? { kind: "addresses", addresses: wanted, ttl: found.ttl }
    : { kind: "empty" };
}

/** Whether a name could be somebody's on the internet. */
function isQualified(name: string): boolean {
  return (name.startsWith(TASKS_PREFIX) ? name.slice(TASKS_PREFIX.length) : name).includes(".");
}
