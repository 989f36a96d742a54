import { FleetError } from "../../base/errors.ts";

/** More than any client's head; a longer one is an attack or an accident. */
export const MAX_HEAD_BYTES = 64 * 1024;
const MAX_HEADERS = 200;

export interface RequestHead {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly version: "1.0" | "1.1";
  /** Names in lower case, in order. */
  readonly headers: readonly (readonly [string, string])[];
  /** Bytes up to and including the blank line. */
  readonly length: number;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const decoder = new TextDecoder("latin1");

/** Where the head ends (after the blank line), or -1. The first `seen` bytes were looked at before. */
export function headEnd(bytes: Uint8Array, seen = 0): number {
  for (let i = Math.max(3, seen); i < bytes.length; i++) {
    if (bytes[i] === 10 && bytes[i - 1] === 13 && bytes[i - 2] === 10 && bytes[i - 3] === 13) {
      return i + 1;
    }
  }
  return -1;
}

/**
 * Parses a complete head (RFC 9112), strictly: what two parsers could read differently is refused, since
 * the engine behind is a second parser. @throws FleetError invalid
 */
export function parseHead(bytes: Uint8Array): RequestHead {
  const text = decoder.decode(bytes);
  const [first = "", ...lines] = text.slice(0, -4).split("\r\n");
  const start = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/(1\.[01])$/.exec(
    first,
  );
  if (!start) bad("malformed request line");
  if (lines.length > MAX_HEADERS) bad("too many headers");
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    // deno-lint-ignore no-control-regex
    if (colon < 1 || !TOKEN.test(name) || /[\x00-\x08\n\r\x0b-\x1f]/.test(line)) {
      bad("malformed header");
    }
    return [name.toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const lengths = headers.filter(([name]) => name === "content-length").map(([, value]) => value);
  const encodings = headers.filter(([name]) => name === "transfer-encoding").map(([, value]) =>
    value
  );
  if (lengths.length > 1 || lengths.some((value) => !/^\d{1,15}$/.test(value))) {
    bad("malformed Content-Length");
  }
  if (encodings.length > 1 || encodings.some((value) => value.toLowerCase() !== "chunked")) {
    bad("unsupported Transfer-Encoding");
  }
  if (encodings.length > 0 && start[3] === "1.0") bad("Transfer-Encoding in HTTP/1.0");
  if (lengths.length > 0 && encodings.length > 0) bad("both Content-Length and Transfer-Encoding");
  return {
    method: start[1]!,
    target: checkedTarget(originForm(start[2]!)),
    version: start[3] as "1.0" | "1.1",
    headers,
    length: bytes.length,
  };
}

/**
 * `http://host/path` as `/path`: a server has to take both (RFC 9112, section 3.2.2). Deno's fetch sends
 * the long form over a unix socket, and routes are chosen by path.
 */
function originForm(target: string): string {
  const path = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1];
  if (path === undefined) return target;
  return path.startsWith("/") ? path : `/${path}`;
}

/**
 * What chooses between fleet and the engine is written plainly: the engine would read `%73warm` as `swarm`,
 * and act on its own swarm mode. @throws FleetError invalid
 */
function checkedTarget(target: string): string {
  const path = target.split(/[?#]/, 1)[0]!;
  const [, first = "", second = ""] = path.split("/");
  if (!target.startsWith("/") && target !== "*") bad("malformed target");
  if (first.includes("%") || (/^v\d/.test(first) && second.includes("%"))) bad("malformed path");
  try {
    decodeURIComponent(path);
  } catch {
    bad("malformed percent sign in the path");
  }
  return target;
}

function bad(what: string): never {
  throw new FleetError("invalid", `bad HTTP request: ${what}`);
}

export function header(head: RequestHead, name: string): string | undefined {
  return head.headers.find(([key]) => key === name)?.[1];
}

/** The head as it goes to the engine: one request per connection, unless it becomes something else. */
export function engineHead(head: RequestHead): Uint8Array {
  const upgrade = header(head, "upgrade") !== undefined;
  const headers = upgrade ? head.headers : [
    ...head.headers.filter(([name]) => name !== "connection" && name !== "keep-alive"),
    ["connection", "close"] as const,
  ];
  const lines = [
    `${head.method} ${head.target} HTTP/${head.version}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return Uint8Array.from(lines.join("\r\n") + "\r\n\r\n", (char) => char.charCodeAt(0));
}
