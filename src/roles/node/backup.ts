import type { RestoreRequest } from "../../api/backend.ts";
import type { BackupFacts } from "../../model/backup.ts";
import { parseHostPort } from "../../base/addresses.ts";
import { FleetError } from "../../base/errors.ts";
import { trustBundle } from "../../core/pki/roots.ts";
import { decodeSnapshot, encodeSnapshot } from "../../core/store/codec.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import type { Transaction } from "../../core/store/transaction.ts";
import { signLocally } from "../manager/certificate_authority.ts";
import { dropOtherManagers } from "../manager/force_new_cluster.ts";
import type { Manager } from "../manager/manager.ts";
import type { RaftLog } from "../manager/raft_runner.ts";
import {
  resolveAdvertiseAddress,
  resolveDataPathAddress,
  resolveListenAddress,
} from "./addresses.ts";
import type { Identity } from "./identity.ts";
import type { Credentials, Interfaces, Trust } from "./ports.ts";

/** Version of the content of a backup. */
const FORMAT = 1;

/** The first line of a backup's content; the snapshot of the store follows. */
export interface BackupHead {
  readonly format: number;
  readonly createdAt: string;
  readonly version: string;
  readonly identity: Identity;
  readonly term: number;
}

export interface Backup {
  readonly head: BackupHead;
  /** As the codec of the store writes it. */
  readonly snapshot: Uint8Array;
  readonly index: number;
  readonly tables: { readonly [T in TableName]: readonly Objects[T][] };
}

/**
 * Everything that a cluster needs to be made again from one file: the store at one index, with the root
 * CA and the join tokens, and who this manager is. Its private key is not in it; a restored manager gets
 * a new certificate from the root.
 */
export async function backupContent(
  manager: Manager,
  identity: Identity,
  facts: { readonly version: string; readonly nowMs: number },
): Promise<Uint8Array> {
  // A barrier first: what was acknowledged anywhere is in it. Without a majority, what this manager has.
  await manager.read(() => undefined);
  const snapshot = await encodeSnapshot(manager.store.capture(), () => Promise.resolve());
  const head: BackupHead = {
    format: FORMAT,
    createdAt: new Date(facts.nowMs).toISOString(),
    version: facts.version,
    identity,
    term: manager.runner.node.status().term,
  };
  const line = new TextEncoder().encode(`${JSON.stringify(head)}\n`);
  const content = new Uint8Array(line.length + snapshot.length);
  content.set(line);
  content.set(snapshot, line.length);
  return content;
}

/** @throws FleetError invalid for another format, corrupt */
export function readBackup(content: Uint8Array): Backup {
  const end = content.indexOf(10);
  let head: BackupHead;
  try {
    head = JSON.parse(new TextDecoder().decode(content.subarray(0, end))) as BackupHead;
  } catch (cause) {
    throw new FleetError("corrupt", "the backup has no readable head", { cause });
  }
  if (head.format !== FORMAT) {
    throw new FleetError(
      "invalid",
      `the backup has format ${head.format}, made by fleet ${head.version}; this fleet reads format ${FORMAT}: restore it with that version`,
    );
  }
  const snapshot = content.subarray(end + 1);
  const { index, tables } = decodeSnapshot(snapshot);
  if (tables.cluster.length !== 1) {
    throw new FleetError("corrupt", "the backup holds no cluster");
  }
  return { head, snapshot, index, tables };
}

/** What a person wants to know of a backup before it is used. */
export function backupFacts({ head, index, tables }: Backup): BackupFacts {
  const names = (table: "service" | "secret" | "config" | "network") => tables[table].length;
  return {
    CreatedAt: head.createdAt,
    Version: head.version,
    ClusterID: head.identity.clusterId,
    NodeID: head.identity.nodeId,
    AdvertiseAddr: head.identity.advertiseAddr,
    Index: index,
    Nodes: tables.node.length,
    Managers: tables.node.filter((node) => node.Role === "manager").length,
    Services: names("service"),
    Tasks: tables.task.length,
    Secrets: names("secret"),
    Configs: names("config"),
    Networks: names("network"),
    Autolock: tables.cluster[0]?.UnlockKey !== undefined,
  };
}

/**
 * A new certificate from the backup's own root, for the manager that it was made on.
 * @throws FleetError unavailable when only an external CA has the root's key
 */
export function restoredCredentials(
  { head, tables }: Backup,
  trust: Trust,
  nowMs: number,
): Credentials {
  const cluster = tables.cluster[0]!;
  const { nodeId } = head.identity;
  const { keyPem, csrPem } = trust.createKeyAndCsr();
  const { certPem } = signLocally(cluster, trust, { nodeId, role: "manager", csrPem, nowMs });
  return { caPem: trustBundle(cluster.RootCA), certPem, keyPem };
}

/**
 * The identity of the backup's manager on this machine. Without another address it keeps its own, when this
 * machine has it: then the workers find it again by themselves. @throws FleetError invalid
 */
export function restoredIdentity(
  { head }: Backup,
  request: RestoreRequest,
  machine: { readonly interfaces: Interfaces; readonly listenAddr: string },
): Identity {
  const { interfaces } = machine;
  const { joinedIndex: _, ...before } = head.identity;
  const listenAddr = resolveListenAddress(request.listenAddr || machine.listenAddr, interfaces);
  const { host } = parseHostPort(before.advertiseAddr, 0);
  const isHere = interfaces.list().some(({ address }) => address === host);
  const advertiseAddr = !request.advertiseAddr && isHere
    ? before.advertiseAddr
    : resolveAdvertiseAddress({ given: request.advertiseAddr, listen: listenAddr, interfaces });
  return {
    ...before,
    role: "manager",
    listenAddr,
    advertiseAddr,
    dataPathAddr: resolveDataPathAddress(request.dataPathAddr, advertiseAddr, interfaces),
    managers: [{ nodeId: before.nodeId, addr: advertiseAddr }],
  };
}

/** A log that begins with the backup's state and has one member. */
export function fillRestoredLog(log: RaftLog, { head, index, snapshot }: Backup): void {
  const term = head.term + 1;
  const conf = { voters: [head.identity.nodeId], learners: [] };
  log.append({
    entries: [],
    hardState: { term, vote: "", commit: index },
    snapshot: { meta: { index, term, conf }, data: snapshot },
  });
}

/** The first change of a cluster that goes on with one manager: the others are none any more. */
export function beginAgain(tx: Transaction, { nodeId, advertiseAddr }: Identity): void {
  dropOtherManagers(tx, nodeId);
  const own = tx.get("node", nodeId);
  if (own && own.ManagerAddr !== advertiseAddr) {
    tx.update("node", { ...own, ManagerAddr: advertiseAddr });
  }
}
