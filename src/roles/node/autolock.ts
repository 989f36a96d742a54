import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { parseUnlockKey } from "../../core/pki/unlock_key.ts";
import { clusterOf } from "../../model/view.ts";
import type { Manager } from "../manager/manager.ts";
import type { KeyLock } from "./ports.ts";
import { NOT_A_MANAGER } from "./sentences.ts";

/**
 * Keeps this manager's keys sealed as the cluster says: under its unlock key, or not at all. Under another
 * unlock key the data key is another one, too: the old one may have lain on the disk in clear, or be in a copy
 * of the directory that the old unlock key opens.
 */
export function followUnlockKey(
  manager: Manager,
  lock: KeyLock,
  rotateDataKey: () => Promise<void>,
  logger: Logger,
): void {
  const follow = () => {
    const cluster = clusterOf(manager.store);
    if (!cluster) return;
    try {
      const key = cluster.UnlockKey ? parseUnlockKey(cluster.UnlockKey) : undefined;
      if (lock.setUnlockKey(key) && key) void rotateDataKey();
    } catch (error) {
      // The keys are as they were; the next change of the cluster tries again.
      logger.log("error", `the keys could not be sealed anew: ${messageOf(error)}`);
    }
  };
  manager.store.onApply((changes) => {
    if (changes.some(({ table }) => table === "cluster")) follow();
  });
  follow();
}

/**
 * @throws FleetError conflict when nothing is locked, unavailable on a node in no cluster, invalid for another
 * key
 */
export function unlockKeys(lock: KeyLock, text: string, member: boolean): void {
  if (!lock.locked) {
    throw member
      ? new FleetError("conflict", "swarm is not locked")
      : new FleetError("unavailable", NOT_A_MANAGER);
  }
  lock.unlock(parseUnlockKey(text));
}
