import { NAME_PORT, relayedKey, relayedPorts } from "../../core/network/relayed_ports.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";
import type { TakenLook } from "./taken_ports.ts";

/** Answers at published ports of one protocol where the kernel does not. */
export interface PortRelay {
  /** Answers at these, and no others; why it cannot, by `protocol/port`. */
  serve(ports: readonly RelayedPort[]): ReadonlyMap<string, string>;
}

/** One for each protocol; `src/adapters/network` implements them. */
export type PortRelays = Readonly<Record<RelayedPort["protocol"], PortRelay>>;

/**
 * Has the agent's own part of ports answered. What is wrong with that, a sentence by `protocol/port`: no
 * reason to refuse tasks, which are no better off elsewhere.
 */
export function relayAll(
  relays: PortRelays,
  { free, problems }: TakenLook,
): ReadonlyMap<string, string> {
  const ports = relayedPorts(free);
  const failures = new Map<string, string>();
  for (const protocol of Object.keys(relays) as (keyof PortRelays)[]) {
    const served = ports.filter((port) => port.protocol === protocol && !isNames(port));
    for (const [key, reason] of relays[protocol].serve(served)) failures.set(key, reason);
  }
  const found = new Map<string, string>();
  for (const port of ports) {
    const key = relayedKey(port);
    const reason = isNames(port)
      ? "the name server of the node's networks listens there"
      : failures.get(key);
    if (reason === undefined || problems.has(key)) continue;
    const { protocol, published, service, header } = port;
    const how = header ? "with the PROXY protocol" : "over IPv6";
    found.set(
      key,
      `port ${published}/${protocol} of service ${service} is not answered ${how} on this node: ${reason}`,
    );
  }
  return found;
}

const isNames = ({ protocol, published }: RelayedPort) =>
  protocol === "tcp" && published === NAME_PORT;
