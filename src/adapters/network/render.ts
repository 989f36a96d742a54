import type { Operation } from "../../core/network/operations.ts";
import { macOf } from "../../model/network.ts";

/** A line for `ip -batch` or `bridge -batch`, and the operation that it is a part of. */
export interface BatchLine {
  readonly tool: "ip" | "bridge";
  readonly line: string;
  readonly operation: Operation;
}

/** The lines of an operation that iproute2 does; none for those of the engine. */
export function batchLines(operation: Operation): BatchLine[] {
  const ip = (line: string): BatchLine => ({ tool: "ip", line, operation });
  const bridge = (line: string): BatchLine => ({ tool: "bridge", line, operation });
  switch (operation.op) {
    case "create-engine-network":
    case "remove-engine-network":
    case "restore-bridge":
      return [];
    case "add-vxlan": {
      const { vxlan, vni, port, local, mtu, bridge: master, gateway } = operation.spec;
      return [
        // `proxy` answers for the addresses that are known here, so that nothing has to be flooded.
        // With an address that was asked for: udev gives another to a device that has a random one
        // (MACAddressPolicy), and with that the kernel forgets the neighbours.
        ip(
          `link add ${vxlan} address ${
            vxlanMac(gateway)
          } type vxlan id ${vni} dstport ${port} local ${local} nolearning proxy`,
        ),
        ip(`link set ${vxlan} addrgenmode none`),
        ip(`link set ${vxlan} mtu ${mtu} master ${master}`),
        ip(`link set ${vxlan} up`),
      ];
    }
    case "remove-link":
      return [ip(`link del ${operation.device}`)];
    case "set-link": {
      const { device, mac, mtu, master, up } = operation;
      return [ip([
        `link set ${device}`,
        ...(mac ? [`address ${mac}`] : []),
        ...(mtu ? [`mtu ${mtu}`] : []),
        ...(master ? [`master ${master}`] : []),
        ...(up ? ["up"] : []),
      ].join(" "))];
    }
    case "add-address":
      return [ip(`addr replace ${operation.address} dev ${operation.device}`)];
    case "remove-address":
      return [ip(`addr del ${operation.address} dev ${operation.device}`)];
    case "set-neighbour": {
      const { address, mac, device } = operation;
      return [ip(`neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`)];
    }
    case "remove-neighbour":
      return [ip(`neigh del ${operation.address} dev ${operation.device}`)];
    case "add-forwarding": {
      const { mac, device, vtep } = operation;
      return [bridge(`fdb replace ${mac} dev ${device} dst ${vtep} self permanent`)];
    }
    case "remove-forwarding": {
      const { mac, device, vtep } = operation;
      return [bridge(`fdb del ${mac} dev ${device} dst ${vtep} self`)];
    }
  }
}

/** What went wrong at which line (counted from 1), as the tools tell it with `-force`. */
export function batchFailures(stderr: string): Map<number, string> {
  const failures = new Map<number, string>();
  let said: string[] = [];
  for (const line of stderr.split("\n")) {
    const failed = /^Command failed .*:(\d+)$/.exec(line);
    if (failed) {
      failures.set(Number(failed[1]), said.join("; ") || "no reason given");
      said = [];
    } else if (line.trim() !== "") said.push(line.trim());
  }
  return failures;
}

/** Whether a failure only says that it is so already. */
export function isDoneAlready(operation: Operation, reason: string): boolean {
  if (operation.op === "remove-link") return /Cannot find device/.test(reason);
  if (operation.op === "remove-address") {
    return /Cannot assign requested address|Cannot find device/.test(reason);
  }
  if (operation.op === "remove-neighbour" || operation.op === "remove-forwarding") {
    return /No such file or directory|Cannot find device/.test(reason);
  }
  return false;
}

/** The kernel's words for what went wrong with a network, with what to do about it. */
export function explain(operation: Operation, reason: string): string {
  if (operation.op === "add-vxlan" || operation.op === "set-link") {
    if (/Address already in use/.test(reason)) {
      const port = operation.op === "add-vxlan"
        ? `UDP port ${operation.spec.port}`
        : "its UDP port";
      return `${port} is taken by another program on this node (ss -ulpn shows it); end that, or make the cluster with another --data-path-port`;
    }
    if (/File exists/.test(reason) && operation.op === "add-vxlan") {
      return `VNI ${operation.spec.vni} is in use by another device (ip -d link show type vxlan)`;
    }
    if (/Operation not supported|Unknown device type/.test(reason)) return NO_VXLAN;
  }
  return reason;
}

/** Not that of the bridge or of anything else on the network, which begin with `02`. */
const vxlanMac = (gateway: string) => macOf(gateway).replace(/^02/, "06");

export const NO_VXLAN =
  "the kernel has no VXLAN devices: load the module vxlan (modprobe vxlan), or use a kernel that has it";
