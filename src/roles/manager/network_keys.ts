import type { Random } from "../../base/random.ts";
import { nextRotationMs, rotateNetworkKeys } from "../../core/pki/network_keys.ts";
import { isEncrypted } from "../../model/network.ts";
import { clusterOf } from "../../model/view.ts";
import type { Reconciler } from "./control_loop.ts";

const CLUSTER = "cluster";

/** Makes the keys of encrypted networks when the first one is there, and new ones every 12 hours. */
export function networkKeysReconciler(random: Random): Reconciler {
  return {
    name: "network keys",
    allKeys: () => [CLUSTER],
    keysOf: ({ table }) => table === "network" || table === "cluster" ? [CLUSTER] : [],
    reconcile: (view, _key, nowMs) => {
      const cluster = clusterOf(view);
      const used = [...view.all("network")].some(isEncrypted);
      if (!cluster || !used) return { changes: [] };
      const dueMs = nextRotationMs(cluster);
      if (nowMs < dueMs) return { changes: [], wakeAtMs: dueMs };
      const NetworkKeys = rotateNetworkKeys(cluster.NetworkKeys ?? [], {
        nowMs,
        randomBytes: (n) => random.bytes(n),
      });
      return { changes: [{ op: "update", table: "cluster", object: { ...cluster, NetworkKeys } }] };
    },
  };
}
