import { FleetError } from "../../base/errors.ts";
import { findCluster } from "../../core/control/lookup.ts";
import type { ControlArgs } from "../../core/control/methods.ts";
import { askedRootChange, needsExternalCrossSignature } from "../../core/pki/root_change.ts";
import type { PreparedRoot } from "../../core/pki/root_change.ts";
import { externalCasFor, trustBundle } from "../../core/pki/roots.ts";
import type { Cluster, ClusterSpec } from "../../model/cluster.ts";
import type { View } from "../../model/view.ts";
import type { Trust } from "../node/ports.ts";

type ExternalCaSpec = NonNullable<NonNullable<ClusterSpec["CAConfig"]>["ExternalCAs"]>[number];

/** What an external CA is asked to sign. */
export interface ExternalSignRequest {
  readonly csrPem: string;
  readonly hosts: readonly string[];
  /** That of the request when it is left out. */
  readonly subject?: {
    readonly commonName: string;
    readonly organization: string;
    readonly organizationalUnit: string;
  };
  /** Name of a set of rules at the CA; its default one otherwise. */
  readonly profile?: string;
}

/** CAs outside of the cluster, asked with this manager's certificate. */
export interface ExternalCa {
  /**
   * Asks one after the other. `trustPem`: roots that may have signed their servers' certificates, beside the
   * public ones. Resolves to PEM. @throws FleetError unavailable, naming each and why it did not sign
   */
  sign(
    cas: readonly ExternalCaSpec[],
    trustPem: string,
    request: ExternalSignRequest,
  ): Promise<string>;
  /** @throws FleetError unavailable when nothing answers there over TLS */
  probe(ca: ExternalCaSpec, trustPem: string): Promise<void>;
}

/** The rules at a cfssl server by which it signs another CA, as in SwarmKit. */
const CROSS_SIGN_PROFILE = "CA";

/** All roots of the cluster, and that of the CA itself. */
export function trustFor({ RootCA }: Cluster, cas: readonly ExternalCaSpec[]): string {
  return [trustBundle(RootCA), ...cas.map(({ CACert }) => CACert ?? "")].join("\n");
}

/**
 * What a change of the root needs from outside before it can be made: the old root's signature when an
 * external CA has its key, and a sign of life of the CA that shall sign from now on.
 * @throws FleetError invalid, unavailable
 */
export async function prepareRootChange(
  view: View,
  args: ControlArgs<"cluster.update">,
  tools: { readonly trust: Trust; readonly external: ExternalCa; readonly nowMs: number },
): Promise<PreparedRoot | undefined> {
  const cluster = findCluster(view);
  const config = args.spec.CAConfig ?? {};
  const { RootCA } = cluster;
  const change = askedRootChange(RootCA, config);
  if (change.kind === "take" && change.keyPem === undefined) {
    const cas = externalCasFor(config.ExternalCAs, change.certPem, RootCA.CACert);
    for (const ca of cas) await tools.external.probe(ca, trustFor(cluster, cas));
  }
  if (!needsExternalCrossSignature(RootCA, change)) return undefined;
  if (cluster.Version.Index !== args.version) {
    throw new FleetError("out-of-sequence", "update out of sequence");
  }
  if (change.kind === "take" && change.keyPem === undefined) {
    throw new FleetError(
      "invalid",
      "rotating directly from one external CA to another is not supported: rotate to a root with a key in between (fleet ca --rotate)",
    );
  }
  const { trust, nowMs, external } = tools;
  const fresh = change.kind === "take"
    ? { certPem: change.certPem, keyPem: change.keyPem! }
    : trust.createRootCa(nowMs);
  trust.checkRootCa(fresh.certPem, fresh.keyPem, nowMs);
  const known = [...config.ExternalCAs ?? [], ...cluster.Spec.CAConfig?.ExternalCAs ?? []];
  const cas = externalCasFor(known, RootCA.CACert, RootCA.CACert);
  const answer = await external.sign(cas, trustFor(cluster, cas), {
    csrPem: trust.createCaCsr(fresh.certPem, fresh.keyPem),
    hosts: [],
    profile: CROSS_SIGN_PROFILE,
  });
  trust.checkCrossSigned(answer, fresh.certPem, RootCA.CACert);
  return { ...fresh, crossSignedPem: answer };
}
