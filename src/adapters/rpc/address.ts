/** `host:port` texts. */
import { FleetError } from "../../base/errors.ts";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Splits `10.0.0.1:2377` or `[fd00::1]:2377`. @throws FleetError invalid */
export function parseAddress(address: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:\s/]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port > 65535) {
    throw new FleetError("invalid", `invalid address "${address}": write it like 10.0.0.1:2377`);
  }
  return { host: match[1] ?? match[2] ?? "", port };
}

export function formatAddress(host: string, port: number): string {
  // A dual-stack listener sees IPv4 callers in this form.
  const plain = host.startsWith("::ffff:") && host.includes(".") ? host.slice(7) : host;
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}
