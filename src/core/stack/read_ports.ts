import type { Cursor } from "./cursor.ts";
import { checkedEntries } from "./keys.ts";
import type { Port } from "./stack_file.ts";

const MAX_PORT = 65535;
const SHORT =
  /^(?:(?:\[[0-9a-fA-F:]*\]|\d+(?:\.\d+){3}):)?(?:(\d+)?(?:-(\d+))?:)?(\d+)(?:-(\d+))?(?:\/([a-zA-Z]+))?$/;

/** `ports`: short ones written out, ranges one by one. @throws FleetError invalid */
export function readPorts(at: Cursor): Port[] {
  return at.items().flatMap((item) => item.isMap ? [readLong(item)] : readShort(item));
}

function readLong(at: Cursor): Port {
  const port: Port = { mode: "ingress", target: 0, protocol: "tcp" };
  for (
    const [key, value] of checkedEntries(at, {
      known: ["mode", "name", "protocol", "published", "target"],
      unsupported: ["app_protocol", "host_ip"],
    })
  ) {
    if (key === "target") port.target = portNumber(value, value.integer(1));
    else if (key === "published") port.published = portNumber(value, value.integer(0));
    else if (key === "protocol") port.protocol = protocol(value, value.text());
    else if (key === "name") port.name = value.text();
    else port.mode = value.word("ingress", "host");
  }
  if (port.target === 0) at.fail("needs a target: the port inside the container");
  return port;
}

function readShort(at: Cursor): Port[] {
  const text = at.text();
  const match = SHORT.exec(text);
  if (!match) {
    at.fail(`"${text}" is no port: write it like 8080:80, 8080:80/udp, 9000-9010:80-90 or 80`);
  }
  const [, from, to, target = "", lastTarget = target, kind = "tcp"] = match!;
  if (/^(\[|\d+\.)/.test(text) && text.split(":").length > 2) {
    at.note(`the address in "${text}" is ignored: the port is published on every node`);
  }
  const first = portNumber(at, Number(target));
  const count = portNumber(at, Number(lastTarget)) - first + 1;
  const published = from === undefined ? undefined : portNumber(at, Number(from));
  const last = to === undefined ? published : portNumber(at, Number(to));
  const width = published === undefined ? 0 : (last ?? published) - published + 1;
  if (count < 1 || (published !== undefined && width < 1)) {
    at.fail(`"${text}": a range begins with its lower port`);
  }
  if (width > 0 && width !== count && count !== 1) {
    at.fail(`"${text}": both ranges must hold the same number of ports`);
  }
  const ports: Port[] = [];
  for (let i = 0; i < Math.max(count, width); i++) {
    ports.push({
      mode: "ingress",
      target: count === 1 ? first : first + i,
      ...(published === undefined ? {} : { published: published + i }),
      protocol: protocol(at, kind),
    });
  }
  return ports;
}

function portNumber(at: Cursor, number: number): number {
  if (number > MAX_PORT) at.fail(`${number} is no port: they end at ${MAX_PORT}`);
  return number;
}

function protocol(at: Cursor, text: string): string {
  const name = text.toLowerCase();
  if (!["tcp", "udp", "sctp"].includes(name)) {
    at.fail(`protocol "${text}" is none of tcp, udp, sctp`);
  }
  return name;
}
