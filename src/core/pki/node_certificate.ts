import { FleetError } from "../../base/errors.ts";
import type { Role } from "../../model/node.ts";

/** What the root's subject says, and one of the names under which managers answer. */
export const CA_NAME = "swarm-ca";

/** 90 days, as in Docker Swarm. */
export const DEFAULT_VALIDITY_MS = 90 * 24 * 3_600_000;
/** A shorter life than this is not signed: it would end before its first renewal can be tried twice. */
export const MIN_VALIDITY_MS = 3_600_000;
/** Certificates begin this long before they are made, for clocks that lag (SwarmKit does the same). */
export const BACKDATE_MS = 3_600_000;

const UNITS = { manager: "swarm-manager", worker: "swarm-worker" } as const;

/** Ids become names in certificates, logs and look-ups: nothing that could be a path or a line break. */
const ID = /^[0-9A-Za-z_-]{1,64}$/;

/** Everything in a node's certificate that is policy. The key comes from its request, and only that. */
export interface NodeCertificatePolicy extends NodeNames {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Whom a node's certificate names. */
export interface NodeNames {
  readonly commonName: string;
  readonly organizationalUnit: string;
  readonly organization: string;
  /** Whom a client may ask for: any manager answers to `swarm-manager`, addresses are not checked. */
  readonly dnsNames: readonly string[];
}

/** The organizational unit that names a role. */
export function unitOfRole(role: Role): string {
  return UNITS[role];
}

/** The role that an organizational unit names. */
export function roleOfUnit(unit: string | undefined): Role | undefined {
  if (unit === UNITS.manager) return "manager";
  return unit === UNITS.worker ? "worker" : undefined;
}

/**
 * What a node's certificate says, by SwarmKit's rules: CN is the node, OU its role, O the cluster.
 * A validity below {@link MIN_VALIDITY_MS} becomes the default; nothing outlives the CA that signs it.
 * @throws FleetError invalid for an id that is none, or when the CA ends before the certificate could begin
 */
export function nodeCertificatePolicy(options: {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
  readonly nowMs: number;
  readonly validityMs: number;
  readonly caNotAfterMs: number;
}): NodeCertificatePolicy {
  const { nowMs, validityMs, caNotAfterMs } = options;
  const names = nodeNames(options);
  if (caNotAfterMs <= nowMs) {
    throw new FleetError(
      "invalid",
      `the cluster's root certificate expired on ${
        new Date(caNotAfterMs).toISOString()
      }: replace it with fleet ca --rotate`,
    );
  }
  const validMs = validityMs >= MIN_VALIDITY_MS ? validityMs : DEFAULT_VALIDITY_MS;
  return {
    ...names,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: Math.min(nowMs + validMs, caNotAfterMs),
  };
}

/** @throws FleetError invalid for an id that is none */
export function nodeNames(
  { nodeId, role, clusterId }: {
    readonly nodeId: string;
    readonly role: Role;
    readonly clusterId: string;
  },
): NodeNames {
  for (const [what, id] of [["node", nodeId], ["cluster", clusterId]] as const) {
    if (!ID.test(id)) {
      throw new FleetError("invalid", `invalid ${what} id ${JSON.stringify(id.slice(0, 80))}`);
    }
  }
  const unit = UNITS[role];
  return {
    commonName: nodeId,
    organizationalUnit: unit,
    organization: clusterId,
    dnsNames: [unit, nodeId, ...(role === "manager" ? [CA_NAME] : [])],
  };
}
