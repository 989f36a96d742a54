import { FleetError, messageOf } from "../../base/errors.ts";
import { loadIdentity } from "./identity.ts";
import type { StateFiles, Trust } from "./ports.ts";

type Stored = ReturnType<typeof loadIdentity>;

/** Why a member that does not run as one cannot enter a cluster. */
export function notStarted(error: string): FleetError {
  return new FleetError(
    "unavailable",
    `this node is part of a swarm and could not go on with it: ${error}. Put that right and restart the agent; ` +
      "or give it up with `fleet leave --force`, which erases what this node has of the cluster",
  );
}

/** @throws FleetError unavailable, naming what is wrong and the way out */
export function storedMembership(
  { files, trust }: { readonly files: StateFiles; readonly trust: Trust },
): Stored {
  try {
    return loadIdentity(files, trust);
  } catch (error) {
    throw notStarted(messageOf(error));
  }
}

/** What the disk says at the last moment counts: files may have been put back. @throws FleetError unavailable */
export function assertNothingStored(options: Parameters<typeof storedMembership>[0]): void {
  const stored = storedMembership(options);
  if (!stored) return;
  throw notStarted(`the data directory holds the membership of node ${stored.identity.nodeId}`);
}
