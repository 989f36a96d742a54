import { formatDuration, NS_PER_MS } from "../../base/duration.ts";
import { FleetError } from "../../base/errors.ts";
import { base36 } from "../../base/ids.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import type { Cluster, ClusterSpec } from "../../model/cluster.ts";
import { MIN_VALIDITY_MS } from "../pki/node_certificate.ts";
import { changeRoot } from "../pki/root_change.ts";
import type { ControlContext } from "./context.ts";
import { findCluster } from "./lookup.ts";
import type { ControlArgs } from "./methods.ts";

/** One heartbeat that is lost on a slow link must not cost the lead. */
const MIN_ELECTION_HEARTBEATS = 3;
const MIN_CERT_EXPIRY_NS = MIN_VALIDITY_MS * NS_PER_MS;

/** Replaces the settings and rotates what is asked for, in one change. */
export function updateCluster(context: ControlContext, args: ControlArgs<"cluster.update">): null {
  const cluster = findCluster(context.tx);
  if (cluster.Version.Index !== args.version) {
    throw new FleetError("out-of-sequence", "update out of sequence");
  }
  const spec = { ...args.spec, Name: args.spec.Name || "default", Labels: args.spec.Labels ?? {} };
  validateClusterSpec(spec);
  const rootCA = changeRoot({
    root: cluster.RootCA,
    config: spec.CAConfig ?? {},
    tools: context.roots,
    nowMs: context.nowMs,
    ...(context.prepared ? { prepared: context.prepared } : {}),
  });
  const { Worker, Manager } = rootCA.JoinTokens;
  const locked = spec.EncryptionConfig?.AutoLockManagers ?? false;
  const unlockKey = !locked
    ? undefined
    : cluster.UnlockKey === undefined || args.rotateManagerUnlockKey
    ? newUnlockKey(context)
    : cluster.UnlockKey;
  const { UnlockKey: _, ...rest } = cluster;
  context.tx.update("cluster", {
    ...rest,
    Spec: withoutSigningCa(spec, rootCA.LastForcedRotation),
    RootCA: {
      ...rootCA,
      JoinTokens: {
        Worker: args.rotateWorkerToken ? renewed(Worker, context) : Worker,
        Manager: args.rotateManagerToken ? renewed(Manager, context) : Manager,
      },
    },
    ...(unlockKey === undefined ? {} : { UnlockKey: unlockKey }),
  });
  return null;
}

/**
 * What a spec asks of the root has been done with it; its key must be in one place only. The count of
 * forced rotations stays even when a client leaves it out: the next one counts on from it.
 */
function withoutSigningCa(spec: ClusterSpec, forcedRotations: number | undefined): ClusterSpec {
  const { SigningCACert: _cert, SigningCAKey: _key, ...CAConfig } = spec.CAConfig ?? {};
  const ForceRotate = CAConfig.ForceRotate ?? forcedRotations;
  return { ...spec, CAConfig: { ...CAConfig, ...(ForceRotate ? { ForceRotate } : {}) } };
}

/** The same token with a fresh secret: the digest of the root stays. */
function renewed(token: string, { randomBytes }: ControlContext): string {
  return `${token.slice(0, token.lastIndexOf("-"))}-${base36(randomBytes(16), 25)}`;
}

/** `SWMKEY-1-` and 32 bytes in unpadded base64. */
function newUnlockKey({ randomBytes }: ControlContext): string {
  const text = btoa(String.fromCharCode(...randomBytes(32))).replace(/=+$/, "");
  return `SWMKEY-1-${text}`;
}

/** @throws FleetError invalid */
export function validateClusterSpec(spec: ClusterSpec): void {
  if (spec.Name !== undefined && spec.Name !== "" && spec.Name !== "default") {
    throw new FleetError("invalid", 'swarm spec must be named "default"');
  }
  const expiry = spec.CAConfig?.NodeCertExpiry ?? CLUSTER_DEFAULTS.nodeCertExpiryNs;
  if (expiry !== 0 && expiry < MIN_CERT_EXPIRY_NS) {
    throw new FleetError(
      "invalid",
      `minimum certificate expiry time is 1h0m0s; ${formatDuration(expiry)} is too short`,
    );
  }
  for (const external of spec.CAConfig?.ExternalCAs ?? []) {
    if ((external.Protocol ?? "cfssl") !== "cfssl") {
      throw new FleetError(
        "invalid",
        `unsupported external CA protocol "${external.Protocol}"; use cfssl`,
      );
    }
    if (!external.URL?.startsWith("https://")) {
      throw new FleetError(
        "invalid",
        `the external CA's URL "${external.URL ?? ""}" must begin with https://`,
      );
    }
  }
  const heartbeatTick = spec.Raft?.HeartbeatTick || CLUSTER_DEFAULTS.heartbeatTick;
  const electionTick = spec.Raft?.ElectionTick || CLUSTER_DEFAULTS.electionTick;
  if (heartbeatTick < 1 || electionTick < MIN_ELECTION_HEARTBEATS * heartbeatTick) {
    throw new FleetError(
      "invalid",
      `an election needs ${MIN_ELECTION_HEARTBEATS} heartbeats at least: --election-tick ${electionTick} goes not with --heartbeat-tick ${heartbeatTick}`,
    );
  }
  const heartbeat = spec.Dispatcher?.HeartbeatPeriod;
  if (heartbeat !== undefined && heartbeat < 0) {
    throw new FleetError(
      "invalid",
      "Dispatcher.HeartbeatPeriod: heartbeat time period cannot be a negative duration",
    );
  }
}

/** The settings of a new cluster: what the founder gave, Docker's defaults for the rest. */
export function initialClusterSpec(given: ClusterSpec | undefined): ClusterSpec {
  const spec = given ?? {};
  validateClusterSpec(spec);
  refuseExternalRoot(spec);
  return withoutSigningCa({
    Name: "default",
    Labels: spec.Labels ?? {},
    Orchestration: {
      TaskHistoryRetentionLimit: spec.Orchestration?.TaskHistoryRetentionLimit ??
        CLUSTER_DEFAULTS.taskHistoryRetentionLimit,
    },
    Raft: {
      SnapshotInterval: spec.Raft?.SnapshotInterval || CLUSTER_DEFAULTS.snapshotInterval,
      KeepOldSnapshots: spec.Raft?.KeepOldSnapshots ?? 0,
      LogEntriesForSlowFollowers: spec.Raft?.LogEntriesForSlowFollowers ||
        CLUSTER_DEFAULTS.logEntriesForSlowFollowers,
      ElectionTick: spec.Raft?.ElectionTick || CLUSTER_DEFAULTS.electionTick,
      HeartbeatTick: spec.Raft?.HeartbeatTick || CLUSTER_DEFAULTS.heartbeatTick,
    },
    Dispatcher: {
      HeartbeatPeriod: spec.Dispatcher?.HeartbeatPeriod || CLUSTER_DEFAULTS.heartbeatPeriodNs,
    },
    CAConfig: {
      ...spec.CAConfig,
      NodeCertExpiry: spec.CAConfig?.NodeCertExpiry || CLUSTER_DEFAULTS.nodeCertExpiryNs,
    },
    TaskDefaults: spec.TaskDefaults ?? {},
    EncryptionConfig: { AutoLockManagers: spec.EncryptionConfig?.AutoLockManagers ?? false },
  }, undefined);
}

/**
 * A new cluster makes its own root, and nobody else has its key yet.
 * @throws FleetError invalid
 */
export function refuseExternalRoot({ CAConfig }: ClusterSpec): void {
  const foreign = CAConfig?.SigningCACert || CAConfig?.ExternalCAs?.some(({ CACert }) => !CACert);
  if (!foreign) return;
  throw new FleetError(
    "invalid",
    "a new cluster begins with a root of its own: initialise it, then fleet ca --rotate --ca-cert FILE with --ca-key FILE or --external-ca protocol=cfssl,url=…,cacert=FILE",
  );
}

/** The two join tokens' texts by role. */
export function joinTokens(cluster: Cluster): { worker: string; manager: string } {
  return { worker: cluster.RootCA.JoinTokens.Worker, manager: cluster.RootCA.JoinTokens.Manager };
}
