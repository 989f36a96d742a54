import type { Role } from "../../model/node.ts";
import { signOwn } from "../manager/certificate_authority.ts";
import { saveCredentials } from "./identity.ts";
import type { HeldCredentials, Identity } from "./identity.ts";
import type { FleetNodeOptions } from "./node_options.ts";
import type { Credentials } from "./ports.ts";
import { Renewal } from "./renewal.ts";
import type { Running } from "./running.ts";
import { followTrustRoot } from "./trust_root.ts";

/** A member of a cluster of which nothing runs yet. */
export function prepareRunning(
  options: FleetNodeOptions,
  identity: Identity,
  credentials: HeldCredentials,
  hooks: {
    readonly managers: (running: Running) => readonly string[];
    /** The certificate carries the role that the cluster wants this node to have. */
    readonly onRole: (running: Running, role: Role) => Promise<void>;
  },
): Running {
  const { network, trust, clock, random, logger, files } = options;
  const dialer = network.dialer(credentials, identity.clusterId);
  const running: Running = {
    identity,
    credentials,
    dialer,
    manager: undefined,
    log: undefined,
    listener: undefined,
    agent: undefined,
    blocked: new Set(),
    halted: false,
    failure: undefined,
    toldTrustRoot: undefined,
    renewal: new Renewal({
      credentials,
      trust,
      clock,
      random,
      logger,
      dialer,
      dialAnonymously: network.dialAnonymously,
      managers: () => hooks.managers(running),
      signHere: (csrPem) => {
        const { nodeId } = identity;
        const store = running.manager?.store;
        return store && signOwn(store, trust, { nodeId, csrPem, nowMs: clock.now() });
      },
      onRenewed: async (renewed, role) => {
        saveCredentials(files, renewed);
        followToldRoot(options, running);
        await hooks.onRole(running, role);
      },
    }),
  };
  return running;
}

/** Trusts the roots that the last session told. */
export function followToldRoot(options: FleetNodeOptions, running: Running): void {
  const { trust, clock, logger, files } = options;
  followTrustRoot(running.toldTrustRoot, running.credentials, {
    trust,
    logger,
    nowMs: clock.now(),
    save: (next: Credentials) => saveCredentials(files, next),
  });
}
