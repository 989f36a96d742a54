import { FleetError } from "./errors.ts";

/** An address and a port; IPv6 without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * Splits `host[:port]`, with an IPv6 address in brackets when a port follows.
 * @throws FleetError invalid, naming the text
 */
export function parseHostPort(text: string, defaultPort: number): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]*))(?::(\d+))?$/.exec(text);
  if (!match) {
    if (/^[0-9a-fA-F:.]+$/.test(text) && text.includes("::")) {
      return { host: text, port: defaultPort };
    }
    throw new FleetError("invalid", `invalid address "${text}": write it as HOST or HOST:PORT`);
  }
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port > 65535 || (match[3] !== undefined && port === 0)) {
    throw new FleetError(
      "invalid",
      `invalid address "${text}": the port must be between 1 and 65535`,
    );
  }
  return { host: match[1] ?? match[2] ?? "", port };
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether `text` is a literal IPv4 address. */
export function isIPv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
}

/** Whether `text` is a literal address of either family. */
export function isIP(text: string): boolean {
  return isIPv4(text) || (text.includes(":") && /^[0-9a-fA-F:.]+$/.test(text));
}
