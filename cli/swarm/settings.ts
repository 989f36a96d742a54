import { FleetError } from "../../src/base/errors.ts";
import type { ClusterSpec } from "../../src/model/cluster.ts";
import type { FleetCommand } from "../fleet_command.ts";
import { needValue, parseFields } from "../spec/pairs.ts";
import { parseInteger, parseNonNegativeDuration, parseUint } from "../spec/values.ts";

/** The cluster's settings as `init` and `update` take them; durations in nanoseconds. */
export interface SettingsFlags {
  readonly taskHistoryLimit?: number;
  readonly dispatcherHeartbeat?: number;
  readonly maxSnapshots?: number;
  readonly snapshotInterval?: number;
  readonly heartbeatTick?: number;
  readonly electionTick?: number;
  readonly certExpiry?: number;
  readonly externalCa?: readonly ExternalCA[];
  readonly autolock?: boolean;
}

type ExternalCA = NonNullable<NonNullable<ClusterSpec["CAConfig"]>["ExternalCAs"]>[number];

export function addSettingsFlags(command: FleetCommand, defaults: boolean): FleetCommand {
  const or = (text: string) => defaults ? ` (default ${text})` : "";
  return command
    .flag("--autolock", "Managers need an unlock key after a restart")
    .value("--task-history-limit <int>", `Old tasks kept per slot${or("5")}`, parseInteger)
    .value(
      "--dispatcher-heartbeat <duration>",
      `Period of the nodes' heartbeats${or("5s")}`,
      parseNonNegativeDuration,
    )
    .value("--max-snapshots <uint>", "Additional raft snapshots kept", parseUint)
    .value("--snapshot-interval <uint>", `Log entries per snapshot${or("10000")}`, parseUint)
    .value("--heartbeat-tick <uint>", `Raft ticks per heartbeat${or("1")}`, parseUint)
    .value("--election-tick <uint>", `Raft ticks until an election${or("10")}`, parseUint)
    .value(
      "--cert-expiry <duration>",
      `Life of node certificates${or("2160h")}`,
      parseNonNegativeDuration,
    );
}

export function addExternalCaFlag(command: FleetCommand): FleetCommand {
  return command.list(
    "--external-ca <spec>",
    "Signing endpoint (protocol=cfssl,url=https://…[,cacert=FILE])",
    parseExternalCa,
  );
}

/** `protocol=cfssl,url=…[,cacert=FILE][,k=v]`; `CACert` is still the file's path. */
export function parseExternalCa(text: string): ExternalCA {
  const ca: { Protocol?: string; URL?: string; CACert?: string } = {};
  const options: Record<string, string> = {};
  for (const { key, value } of parseFields(text)) {
    const given = needValue(`external CA "${text}"`, key, value);
    if (key === "protocol") ca.Protocol = given.toLowerCase();
    else if (key === "url") ca.URL = given;
    else if (key === "cacert") ca.CACert = given;
    else options[key] = given;
  }
  if (ca.Protocol !== "cfssl") {
    throw new FleetError("invalid", `external CA "${text}": the protocol must be cfssl`);
  }
  if (!ca.URL) throw new FleetError("invalid", `external CA "${text}": url is required`);
  return { ...ca, ...(Object.keys(options).length > 0 ? { Options: options } : {}) };
}

/** `spec` with the given flags over it. `raft.max-snapshots` is Docker's KeepOldSnapshots. */
export function changedSettings(spec: ClusterSpec, flags: SettingsFlags): ClusterSpec {
  const set = <T extends object>(now: T | undefined, given: Partial<T>): T | undefined => {
    const changed = Object.entries(given).filter(([, value]) => value !== undefined);
    return changed.length === 0 ? now : { ...now, ...Object.fromEntries(changed) } as T;
  };
  const parts: Record<string, unknown> = {
    Orchestration: set(spec.Orchestration, {
      TaskHistoryRetentionLimit: flags.taskHistoryLimit,
    } as never),
    Raft: set(spec.Raft, {
      SnapshotInterval: flags.snapshotInterval,
      KeepOldSnapshots: flags.maxSnapshots,
      HeartbeatTick: flags.heartbeatTick,
      ElectionTick: flags.electionTick,
    } as never),
    Dispatcher: set(spec.Dispatcher, { HeartbeatPeriod: flags.dispatcherHeartbeat } as never),
    CAConfig: set(spec.CAConfig, {
      NodeCertExpiry: flags.certExpiry,
      ExternalCAs: flags.externalCa,
    } as never),
    EncryptionConfig: set(spec.EncryptionConfig, { AutoLockManagers: flags.autolock } as never),
  };
  const given = Object.entries(parts).filter(([, part]) => part !== undefined);
  return { ...spec, ...Object.fromEntries(given) };
}

/** External CAs with the certificates of their files in place of the paths. */
export async function withCaFiles(
  flags: SettingsFlags,
  readFile: (path: string) => Promise<Uint8Array>,
): Promise<SettingsFlags> {
  if (!flags.externalCa) return flags;
  const externalCa = await Promise.all(
    flags.externalCa.map(async (ca) =>
      ca.CACert === undefined
        ? ca
        : { ...ca, CACert: new TextDecoder().decode(await readFile(ca.CACert)) }
    ),
  );
  return { ...flags, externalCa };
}
