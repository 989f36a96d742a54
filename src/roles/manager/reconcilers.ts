import { newId } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { Allocator } from "../../core/allocator/allocator.ts";
import { concernsEnforcer, enforce } from "../../core/orchestrator/enforcer.ts";
import { orchestrate } from "../../core/orchestrator/orchestrate.ts";
import { reap } from "../../core/orchestrator/reaper.ts";
import { forgetSuperseded } from "../../core/orchestrator/superseded.ts";
import { Scheduler } from "../../core/scheduler/scheduler.ts";
import { rotateRoot } from "../../core/pki/root_rotation.ts";
import type { RotationTools } from "../../core/pki/root_rotation.ts";
import type { Config } from "../../model/config.ts";
import { fileIds, isSuperseded } from "../../model/file_versions.ts";
import type { FileKind } from "../../model/file_versions.ts";
import { MAX_AUDIT_ENTRIES } from "../../model/audit.ts";
import type { Node } from "../../model/node.ts";
import type { Secret } from "../../model/secret.ts";
import { modeOf } from "../../model/service.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { Applied, View } from "../../model/view.ts";
import type { Reconciler } from "./control_loop.ts";

/** Service ids that a change concerns: its own, its task's, and those that a changed node matters to. */
function* serviceKeys(change: Applied, view: View): Iterable<string> {
  if (change.table === "service") yield change.object.ID;
  else if (change.table === "task") {
    const task = change.object as Applied<"task">["object"];
    if (task.ServiceID) yield task.ServiceID;
  } else if (change.table === "node" && matters(change as Applied<"node">)) {
    for (const task of view.tasksOfNode(change.object.ID)) if (task.ServiceID) yield task.ServiceID;
    for (const service of view.all("service")) {
      if (modeOf(service.Spec).startsWith("global")) yield service.ID;
    }
  } else if (change.table === "cluster") yield* allServices(view);
}

/** Heartbeats and descriptions of a node that stays as it is are nobody's business. */
function matters({ object, previous }: Applied<"node">): boolean {
  return object.Status.State !== previous?.Status.State ||
    object.Spec.Availability !== previous?.Spec.Availability || concernsEnforcer(object, previous);
}

/** Services, and those that only their tasks remember. */
function* allServices(view: View): Iterable<string> {
  const seen = new Set<string>();
  for (const service of view.all("service")) seen.add(service.ID);
  for (const task of view.all("task")) if (task.ServiceID) seen.add(task.ServiceID);
  yield* [...seen].sort();
}

export function orchestratorReconciler(random: Random): Reconciler {
  return {
    name: "orchestrator",
    allKeys: allServices,
    keysOf: serviceKeys,
    reconcile: (view, key, nowMs) => orchestrate({ view, nowMs, newId: () => newId(random) }, key),
  };
}

export function reaperReconciler(random: Random): Reconciler {
  return {
    name: "task reaper",
    allKeys: allServices,
    keysOf: serviceKeys,
    reconcile: (view, key, nowMs) => reap({ view, nowMs, newId: () => newId(random) }, key),
  };
}

export function enforcerReconciler(random: Random): Reconciler {
  return {
    name: "constraint enforcer",
    allKeys: (view) => [...view.all("node")].map(({ ID }) => ID).sort(),
    *keysOf(change) {
      if (change.table !== "node" || change.op === "remove") return;
      const { object, previous } = change as Applied<"node">;
      if (concernsEnforcer(object, previous as Node | undefined)) yield object.ID;
    },
    reconcile: (view, key, nowMs) => enforce({ view, nowMs, newId: () => newId(random) }, key),
  };
}

const EVERYTHING = "all";

/** Holds what is on the nodes between looks; a full look starts it over from the store. */
export function schedulerReconciler(): Reconciler {
  const scheduler = new Scheduler();
  return {
    name: "scheduler",
    allKeys: (view) => {
      scheduler.resync(view);
      return [EVERYTHING];
    },
    keysOf: (change) => scheduler.apply([change]) ? [EVERYTHING] : [],
    reconcile: (view, _key, nowMs) => scheduler.schedule(view, nowMs),
  };
}

/** Below this share a network that was reported as nearly full may be reported again. */
const CALM_AT = 0.75;

/**
 * Holds which addresses are whose between looks; a full look compares that with the store and starts it
 * over from there.
 */
export function allocatorReconciler(logger: Logger): Reconciler {
  const allocator = new Allocator();
  const warned = new Set<string>();
  let begun = false;
  return {
    name: "allocator",
    allKeys: (view) => {
      const wrong = begun ? allocator.audit(view) : [];
      begun = true;
      if (wrong.length > 0) {
        logger.log("error", "the allocator had lost track of addresses; it starts over", {
          count: wrong.length,
          first: wrong[0]!,
        });
      }
      allocator.resync(view);
      return [EVERYTHING];
    },
    keysOf: (change) => allocator.apply(change) ? [EVERYTHING] : [],
    reconcile: (view, _key, nowMs) => {
      for (const { network, used, capacity } of allocator.usages(view)) {
        if (used < CALM_AT * capacity) warned.delete(network.ID);
      }
      for (const { network, used, nodes, capacity } of allocator.nearlyFull(view)) {
        if (warned.has(network.ID)) continue;
        warned.add(network.ID);
        logger.log("warn", `network ${network.Spec.Name} is running out of addresses`, {
          network: network.ID,
          used,
          nodes,
          capacity,
        });
      }
      return { changes: allocator.allocate(view, nowMs) };
    },
  };
}

/**
 * An old version that nothing refers to stays this long: a client that has just listed a stack's objects
 * removes them one by one, services first, and Docker's takes one that is gone by then for a failure.
 */
const KEEP_UNUSED_MS = 20_000;

/** Old versions of secrets and configs. Costs nothing while there are none. */
export function supersededReconciler(): Reconciler {
  const waiting = new Map<string, { kind: FileKind; id: string }>();
  /** Since when nothing refers to one. A new leader counts anew. */
  const unusedSince = new Map<string, number>();
  const note = (kind: FileKind, object: Secret | Config) => {
    if (isSuperseded(object)) waiting.set(`${kind} ${object.ID}`, { kind, id: object.ID });
  };
  return {
    name: "old versions",
    allKeys(view) {
      waiting.clear();
      for (const kind of ["secret", "config"] as const) {
        for (const object of view.all(kind)) note(kind, object);
      }
      for (const key of unusedSince.keys()) if (!waiting.has(key)) unusedSince.delete(key);
      return waiting.keys();
    },
    *keysOf({ op, table, object }) {
      if (table === "secret" || table === "config") {
        const key = `${table} ${object.ID}`;
        if (op !== "remove") note(table, object as Secret | Config);
        else if (waiting.delete(key)) unusedSince.delete(key);
      }
      if (waiting.size === 0) return;
      if (table === "task") {
        const task = object as Task;
        if (op !== "remove" && !isTerminal(task.Status.State)) return;
        for (const [key, { kind, id }] of waiting) {
          if (fileIds(task.Spec.ContainerSpec, kind).includes(id)) yield key;
        }
      } else if (table !== "node") yield* waiting.keys();
    },
    reconcile(view, key, nowMs) {
      const found = waiting.get(key);
      const changes = found ? forgetSuperseded(view, found.kind, found.id) : [];
      if (changes.length === 0) {
        unusedSince.delete(key);
        return { changes };
      }
      const since = Math.min(unusedSince.get(key) ?? nowMs, nowMs);
      unusedSince.set(key, since);
      const dueMs = since + KEEP_UNUSED_MS;
      return dueMs <= nowMs ? { changes } : { changes: [], wakeAtMs: dueMs };
    },
  };
}

/** Attachments of containers that are gone; nobody wants to look back at those. */
export function attachmentReconciler(): Reconciler {
  const isAttachment = (task: Task) => task.Spec.NetworkAttachmentSpec !== undefined;
  return {
    name: "attachment reaper",
    *allKeys(view) {
      for (const task of view.all("task")) if (isAttachment(task)) yield task.ID;
    },
    *keysOf({ op, table, object }) {
      if (table === "task" && op !== "remove" && isAttachment(object as Task)) yield object.ID;
    },
    reconcile: (view, key) => {
      const task = view.get("task", key);
      const over = task !== undefined &&
        (isTerminal(task.Status.State) || view.get("node", task.NodeID ?? "") === undefined);
      return { changes: over ? [{ op: "remove", table: "task", id: task.ID }] : [] };
    },
  };
}

/** Carries a change of the root through, and brings nodes back from one that was given up. */
export function rootRotationReconciler(tools: RotationTools, logger: Logger): Reconciler {
  return {
    name: "root rotation",
    allKeys: () => [EVERYTHING],
    *keysOf({ op, table, object, previous }) {
      if (table === "cluster") yield EVERYTHING;
      if (table !== "node") return;
      const [now, before] = [object as Node, previous as Node | undefined];
      const same = op === "update" && now.Status.State === before?.Status.State &&
        now.RenewCertificate === before.RenewCertificate &&
        now.CertificateIssuer === before.CertificateIssuer &&
        now.Description?.TLSInfo?.CertIssuerPublicKey ===
          before.Description?.TLSInfo?.CertIssuerPublicKey;
      if (!same) yield EVERYTHING;
    },
    reconcile: (view, _key, nowMs) => {
      const step = rotateRoot(view, nowMs, tools);
      if (step.changes.some(({ table }) => table === "cluster")) {
        logger.log("info", "every node has its certificate from the new root; the old one goes");
      }
      return step;
    },
  };
}

/** A trim waits for so many entries too many, so that not every change is followed by one. */
const AUDIT_SLACK = 100;

/** Keeps the audit log at its length. */
export function auditReconciler(): Reconciler {
  return {
    name: "audit reaper",
    allKeys: () => [EVERYTHING],
    keysOf: ({ op, table }) => table === "audit" && op === "create" ? [EVERYTHING] : [],
    reconcile: (view) => {
      if (view.count("audit") < MAX_AUDIT_ENTRIES + AUDIT_SLACK) return { changes: [] };
      const oldest = [...view.all("audit")]
        .sort((a, b) => a.Version.Index - b.Version.Index || (a.ID < b.ID ? -1 : 1))
        .slice(0, view.count("audit") - MAX_AUDIT_ENTRIES);
      return { changes: oldest.map(({ ID }) => ({ op: "remove", table: "audit", id: ID })) };
    },
  };
}
