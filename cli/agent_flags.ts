import { formatHostPort, parseHostPort } from "../src/base/addresses.ts";
import { NS_PER_MS, parseDuration } from "../src/base/duration.ts";
import { FleetError } from "../src/base/errors.ts";
import { DEFAULT_SOCKET } from "./client.ts";
import type { AgentOptions } from "./environment.ts";
import type { FleetCommand } from "./fleet_command.ts";
import { choice } from "./spec/values.ts";

/** The flags of `fleet agent`, as given. */
export interface AgentFlags {
  readonly dataDir?: string;
  readonly socket?: string;
  readonly dockerHost?: string;
  readonly listenAddr?: string;
  readonly hostname?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly settingsFile?: string;
  readonly metricsAddr?: string;
  readonly uiAddr?: string;
  readonly uiCert?: string;
  readonly uiKey?: string;
  readonly raftTick?: string;
  readonly tcpAddr?: string;
  readonly tlscacert?: string;
  readonly tlscert?: string;
  readonly tlskey?: string;
  readonly allowLooseModes?: boolean;
  readonly meshBackend?: string;
}

/** Docker's port for the API with TLS. */
const DEFAULT_TCP_PORT = 2376;

const DEFAULTS = {
  dataDir: "/var/lib/fleet",
  socket: DEFAULT_SOCKET,
  dockerHost: "unix:///var/run/docker.sock",
  listenAddr: "0.0.0.0:2377",
  logLevel: "info",
  logFormat: "text",
  settingsFile: "/etc/default/fleet",
  raftTick: "100ms",
  meshBackend: "auto",
} as const;

export function addAgentFlags(command: FleetCommand): FleetCommand {
  return command
    .value("--data-dir <path>", `State of this node (default ${DEFAULTS.dataDir})`)
    .value("--socket <path>", `Socket of the API (default ${DEFAULTS.socket})`)
    .value("--docker-host <address>", `The Docker engine (default ${DEFAULTS.dockerHost})`)
    .value("--listen-addr <address>", `For other nodes (default ${DEFAULTS.listenAddr})`)
    .value("--tcp-addr <address>", "The API on host:port too, with mutual TLS only (default off)")
    .value("--tlscacert <path>", "For --tcp-addr: who signs the certificates of clients (PEM)")
    .value("--tlscert <path>", "For --tcp-addr: the server's certificate (PEM)")
    .value("--tlskey <path>", "For --tcp-addr: the key of that certificate (PEM)")
    .value("--hostname <name>", "Name of this node (default the machine's)")
    .value("--log-level <word>", `debug, info, warn or error (default ${DEFAULTS.logLevel})`)
    .value("--log-format <word>", `text or json (default ${DEFAULTS.logFormat})`)
    .value("--settings-file <path>", `Read on SIGHUP (default ${DEFAULTS.settingsFile})`)
    .value("--metrics-addr <address>", "Serve metrics on host:port (default off)")
    .value("--ui-addr <address>", "Serve the dashboard on host:port (default off)")
    .value("--ui-cert <path>", "PEM certificate of the dashboard, for other machines' browsers")
    .value("--ui-key <path>", "PEM key of that certificate")
    .value("--raft-tick <duration>", `The managers' unit of time (default ${DEFAULTS.raftTick})`)
    .flag("--allow-loose-modes", "Start although others may read the data directory")
    .value(
      "--mesh-backend <word>",
      `Balances ports: auto, ipvs or nftables (default ${DEFAULTS.meshBackend})`,
    );
}

/** Flags over environment (`FLEET_DATA_DIR` …) over defaults. @throws FleetError invalid */
export function agentOptions(
  flags: AgentFlags,
  variable: (name: string) => string | undefined,
): AgentOptions {
  const fromEnvironment = (name: keyof AgentFlags): string | undefined =>
    variable(`FLEET_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`) || undefined;
  const value = (name: Exclude<keyof AgentFlags, "allowLooseModes">): string | undefined =>
    flags[name] ?? fromEnvironment(name);
  const loose = flags.allowLooseModes ??
    /^(1|t|true)$/i.test(fromEnvironment("allowLooseModes") ?? "");
  const optional = (name: "hostname" | "metricsAddr" | "uiAddr" | "uiCert" | "uiKey") => {
    const given = value(name);
    return given === undefined ? {} : { [name]: given };
  };
  return {
    dataDir: value("dataDir") ?? DEFAULTS.dataDir,
    socket: (value("socket") ?? DEFAULTS.socket).replace(/^unix:\/\//, ""),
    dockerHost: value("dockerHost") ?? DEFAULTS.dockerHost,
    listenAddr: value("listenAddr") ?? DEFAULTS.listenAddr,
    logLevel: word("--log-level", value("logLevel"), "debug", "info", "warn", "error") ??
      DEFAULTS.logLevel,
    logFormat: word("--log-format", value("logFormat"), "text", "json") ?? DEFAULTS.logFormat,
    settingsFile: value("settingsFile") ?? DEFAULTS.settingsFile,
    meshBackend: word("--mesh-backend", value("meshBackend"), "auto", "ipvs", "nftables") ??
      DEFAULTS.meshBackend,
    raftTickMs: tickMs(value("raftTick") ?? DEFAULTS.raftTick),
    ...tcpOptions(value),
    ...(loose ? { allowLooseModes: true as const } : {}),
    ...optional("hostname"),
    ...optional("metricsAddr"),
    ...optional("uiAddr"),
    ...optional("uiCert"),
    ...optional("uiKey"),
  };
}

/** Without all three files there is no TCP: whoever reached the port would be root here. */
function tcpOptions(
  value: (name: "tcpAddr" | "tlscacert" | "tlscert" | "tlskey") => string | undefined,
): Pick<AgentOptions, "tcp"> {
  const given = value("tcpAddr");
  const [ca, cert, key] = [value("tlscacert"), value("tlscert"), value("tlskey")];
  if (given === undefined) {
    if (ca === undefined && cert === undefined && key === undefined) return {};
    throw new FleetError("invalid", "--tlscacert, --tlscert and --tlskey go with --tcp-addr");
  }
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new FleetError(
      "invalid",
      "--tcp-addr needs --tlscacert, --tlscert and --tlskey: the API is never served without TLS and a client's certificate, since whoever can use it is root on this machine",
    );
  }
  const { host, port } = parseHostPort(given.replace(/^tcp:\/\//, ""), DEFAULT_TCP_PORT);
  return { tcp: { address: formatHostPort({ host: host || "0.0.0.0", port }), ca, cert, key } };
}

/** Shorter ones keep the processor awake, longer ones a dead leader in office. */
const TICK_MS = { min: 10, max: 10_000 } as const;

function tickMs(text: string): number {
  const ms = parseDuration(text) / NS_PER_MS;
  if (ms >= TICK_MS.min && ms <= TICK_MS.max) return ms;
  throw new FleetError("invalid", `--raft-tick: ${text} is not between 10ms and 10s`);
}

function word<T extends string>(
  flag: string,
  text: string | undefined,
  ...words: readonly T[]
): T | undefined {
  if (text === undefined) return undefined;
  try {
    return choice(...words)(text);
  } catch {
    throw new FleetError("invalid", `${flag}: "${text}" is none of ${words.join(", ")}`);
  }
}
