import { formatHostPort, isIP, isIPv4, parseHostPort } from "../../base/addresses.ts";
import { FleetError } from "../../base/errors.ts";
import type { Interfaces } from "./ports.ts";

/** Docker's port for traffic between nodes. */
export const DEFAULT_PORT = 2377;
const DEFAULT_LISTEN = `0.0.0.0:${DEFAULT_PORT}`;
/** Interfaces that hold containers, never a node's own address. */
const CONTAINER_INTERFACE = /^(docker\d+|docker_gwbridge|br-[0-9a-f]{12}|veth|fl-|cni|virbr)/;

/**
 * Where to listen: an address or an interface name, `0.0.0.0:2377` when nothing is given.
 * @throws FleetError invalid
 */
export function resolveListenAddress(text: string | undefined, interfaces: Interfaces): string {
  const { host, port } = parseHostPort(text || DEFAULT_LISTEN, DEFAULT_PORT);
  if (host === "") return formatHostPort({ host: "0.0.0.0", port });
  return formatHostPort({ host: isIP(host) ? host : addressOfInterface(host, interfaces), port });
}

/**
 * Which address others reach this node by: the given one, else the listening one when it is specific,
 * else the only candidate of this machine. The two sentences without a choice are Docker's, since its
 * client looks for them and adds a hint about `--advertise-addr`.
 * @throws FleetError invalid
 */
export function resolveAdvertiseAddress(
  options: { given: string | undefined; listen: string; interfaces: Interfaces },
): string {
  const { interfaces } = options;
  const listen = parseHostPort(options.listen, DEFAULT_PORT);
  if (options.given) {
    const { host, port } = parseHostPort(options.given, listen.port);
    if (!isIP(host)) return formatHostPort({ host: addressOfInterface(host, interfaces), port });
    if (isUnspecified(host)) {
      throw new FleetError(
        "invalid",
        "advertise address must be a non-zero IP address or network interface (with optional port number)",
      );
    }
    if (!interfaces.list().some(({ address }) => address === host)) {
      throw new FleetError(
        "invalid",
        `advertise address ${host} is not an address of this machine; it has ${
          candidateList(interfaces)
        }`,
      );
    }
    return formatHostPort({ host, port });
  }
  if (!isUnspecified(listen.host)) return options.listen;
  const found = candidates(interfaces);
  if (found.length === 1) return formatHostPort({ host: found[0]!.address, port: listen.port });
  if (found.length === 0) {
    throw new FleetError(
      "invalid",
      "could not find the system's IP address - specify one with --advertise-addr",
    );
  }
  const names = new Set(found.map(({ name }) => name));
  throw new FleetError(
    "invalid",
    names.size === 1
      ? `could not choose an IP address to advertise since this system has multiple addresses on interface ${
        found[0]!.name
      } (${found.map(({ address }) => address).join(" and ")}) - specify one with --advertise-addr`
      : `could not choose an IP address to advertise since this system has multiple addresses on different interfaces (${
        found.map(({ name, address }) => `${address} on ${name}`).join(" and ")
      }) - specify one with --advertise-addr`,
  );
}

/**
 * The address of this machine that carries containers' frames: the given one or the given interface's,
 * else the one that others reach the node by; empty when that is none in particular.
 * @throws FleetError invalid
 */
export function resolveDataPathAddress(
  given: string | undefined,
  advertise: string,
  interfaces: Interfaces,
): string {
  if (!given) {
    const { host } = parseHostPort(advertise, 0);
    return isUnspecified(host) ? "" : host;
  }
  if (!isIP(given)) return addressOfInterface(given, interfaces);
  if (isUnspecified(given)) {
    throw new FleetError(
      "invalid",
      "data path address must be a non-zero IP address or network interface",
    );
  }
  if (!interfaces.list().some(({ address }) => address === given)) {
    throw new FleetError(
      "invalid",
      `data path address ${given} is not an address of this machine; it has ${
        candidateList(interfaces)
      }`,
    );
  }
  return given;
}

function isUnspecified(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function candidates(interfaces: Interfaces) {
  return interfaces.list().filter(({ name, address }) =>
    isIPv4(address) && !address.startsWith("127.") && !CONTAINER_INTERFACE.test(name)
  );
}

function candidateList(interfaces: Interfaces): string {
  return candidates(interfaces).map(({ address }) => address).join(", ") || "none but loopback";
}

function addressOfInterface(name: string, interfaces: Interfaces): string {
  const found = interfaces.list().filter((entry) => entry.name === name && isIPv4(entry.address));
  if (found.length === 1) return found[0]!.address;
  if (found.length > 1) {
    throw new FleetError(
      "invalid",
      `interface ${name} has more than one IPv4 address (${
        found.map((f) => f.address).join(" and ")
      }); give the address itself`,
    );
  }
  throw new FleetError(
    "invalid",
    `"${name}" is neither an IP address nor an interface of this machine with an IPv4 address`,
  );
}

/** Where a cluster's first manager listens, and where others reach it. @throws FleetError invalid */
export function foundersAddresses(
  request: {
    readonly ListenAddr?: string;
    readonly AdvertiseAddr?: string;
    readonly DataPathAddr?: string;
  },
  machine: { readonly interfaces: Interfaces; readonly listenAddr: string },
) {
  const { interfaces } = machine;
  const listenAddr = resolveListenAddress(request.ListenAddr || machine.listenAddr, interfaces);
  const advertiseAddr = resolveAdvertiseAddress({
    given: request.AdvertiseAddr,
    listen: listenAddr,
    interfaces,
  });
  const dataPathAddr = resolveDataPathAddress(request.DataPathAddr, advertiseAddr, interfaces);
  return { listenAddr, advertiseAddr, dataPathAddr };
}

/**
 * The same of a manager that goes on alone: what it had, as far as nothing else is asked for. A data path that
 * was where it is reached moves along. @throws FleetError invalid
 */
export function recoveredAddresses(
  request: Parameters<typeof foundersAddresses>[0],
  before: {
    readonly listenAddr: string;
    readonly advertiseAddr: string;
    readonly dataPathAddr: string;
  },
  interfaces: Interfaces,
) {
  // Docker's client sends its default, whether somebody asked for it or not.
  const listenAddr = request.ListenAddr && request.ListenAddr !== DEFAULT_LISTEN
    ? resolveListenAddress(request.ListenAddr, interfaces)
    : before.listenAddr;
  const advertiseAddr = request.AdvertiseAddr
    ? resolveAdvertiseAddress({ given: request.AdvertiseAddr, listen: listenAddr, interfaces })
    : before.advertiseAddr;
  const moves = before.dataPathAddr === parseHostPort(before.advertiseAddr, 0).host;
  const dataPathAddr = request.DataPathAddr || moves
    ? resolveDataPathAddress(request.DataPathAddr, advertiseAddr, interfaces)
    : before.dataPathAddr;
  return { listenAddr, advertiseAddr, dataPathAddr };
}

/** What a node that joins advertises. */
export function joinersAddress(
  options: Parameters<typeof resolveAdvertiseAddress>[0],
  manager: boolean,
): string {
  try {
    return resolveAdvertiseAddress(options);
  } catch (error) {
    // Nobody dials a worker: without a choice its address is only what the manager sees.
    if (manager || options.given) throw error;
    return options.listen;
  }
}
