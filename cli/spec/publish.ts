import { FleetError } from "../../src/base/errors.ts";
import type { PortConfig } from "../../src/model/service_spec.ts";
import { checkSource, SOURCE_LABEL } from "../../src/model/port_source.ts";
import { needValue, parseFields } from "./pairs.ts";

const PROTOCOLS = ["tcp", "udp", "sctp"];
const MAX_PORT = 65535;
const LONG = /(^|,)\s*(target|published|protocol|mode|source)\s*=/i;

/**
 * `published=…,target=…,protocol=…,mode=…` or the short `[published:]target[/protocol]` with ranges:
 * one or more published ports. @throws FleetError invalid
 */
export function parsePublish(text: string): PortConfig[] {
  return LONG.test(text) ? [longSyntax(text)] : shortSyntax(text);
}

/**
 * The labels that say what `source=` of published ports asks for; Docker's API has no field for it.
 * @throws FleetError invalid without a published port, to which the label is bound
 */
export function sourceLabels(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts.filter((candidate) => LONG.test(candidate))) {
    const source = parseFields(text).find(({ key }) => key === "source")?.value;
    if (source === undefined) continue;
    const [port] = parsePublish(text);
    if (port?.PublishedPort === undefined) {
      throw fail(text, "source needs a published port");
    }
    labels[`${SOURCE_LABEL}.${port.PublishedPort}`] = source;
  }
  return labels;
}

function longSyntax(text: string): PortConfig {
  const port: { -readonly [K in keyof PortConfig]: PortConfig[K] } = {};
  let published: number | undefined;
  let source: string | undefined;
  for (const { key, value } of parseFields(text)) {
    const given = needValue(`port "${text}"`, key, value);
    if (key === "protocol") port.Protocol = given.toLowerCase();
    else if (key === "mode") port.PublishMode = given.toLowerCase();
    else if (key === "target") port.TargetPort = portNumber(text, given);
    else if (key === "published") published = portNumber(text, given);
    else if (key === "source") {
      checkSource(`port "${text}"`, given);
      source = given;
    } else throw fail(text, `unknown field "${key}"`);
  }
  if (port.TargetPort === undefined) throw fail(text, "target is required");
  const mode = port.PublishMode ?? "ingress";
  if (mode !== "ingress" && mode !== "host") throw fail(text, `mode is ingress or host`);
  if (mode === "host" && source !== undefined) {
    throw fail(
      text,
      "source is for mode ingress: with mode host tasks see the client's address anyway",
    );
  }
  return {
    Protocol: protocolOf(text, port.Protocol ?? "tcp"),
    TargetPort: port.TargetPort,
    ...(published === undefined ? {} : { PublishedPort: published }),
    PublishMode: mode,
  };
}

function shortSyntax(text: string): PortConfig[] {
  const [ports = "", protocol = "tcp", ...more] = text.split("/");
  const parts = ports.split(":");
  if (parts.length > 2) {
    throw fail(text, "an address in front of the port is not possible for services");
  }
  if (more.length > 0) throw fail(text, "write it as [published:]target[/protocol]");
  const target = range(text, parts.at(-1) ?? "");
  const published = parts.length === 2 && parts[0] !== "" ? range(text, parts[0] ?? "") : undefined;
  const count = target.end - target.start + 1;
  const publishedCount = published ? published.end - published.start + 1 : count;
  if (count !== 1 && publishedCount !== count) {
    throw fail(text, "both ranges must have the same length");
  }
  // One target behind a range of published ports is published on each of them.
  return Array.from({ length: Math.max(count, publishedCount) }, (_, i) => ({
    Protocol: protocolOf(text, protocol.toLowerCase()),
    TargetPort: target.start + (count === 1 ? 0 : i),
    ...(published ? { PublishedPort: published.start + i } : {}),
    PublishMode: "ingress",
  }));
}

function range(text: string, ports: string): { start: number; end: number } {
  const [first = "", last = first, ...more] = ports.split("-");
  const start = portNumber(text, first);
  const end = portNumber(text, last);
  if (more.length > 0 || end < start) throw fail(text, `"${ports}" is no range of ports`);
  return { start, end };
}

function portNumber(text: string, port: string): number {
  const number = Number(port);
  if (!/^\d+$/.test(port) || number > MAX_PORT) throw fail(text, `"${port}" is no port number`);
  return number;
}

function protocolOf(text: string, protocol: string): string {
  if (!PROTOCOLS.includes(protocol)) {
    throw fail(text, `protocol is one of ${PROTOCOLS.join(", ")}, not "${protocol}"`);
  }
  return protocol;
}

function fail(text: string, message: string): FleetError {
  return new FleetError("invalid", `port "${text}": ${message}`);
}
