import { FleetError } from "../../base/errors.ts";
import type { ClusterSpec, RootCA } from "../../model/cluster.ts";
import { timeText } from "../../model/meta.ts";
import { normalizePem } from "./pem_text.ts";
import { externalCasFor, issuerOf, signingRoot } from "./roots.ts";
import type { RootTools } from "./roots.ts";

type CAConfig = NonNullable<ClusterSpec["CAConfig"]>;

/** What a spec asks of the root, by SwarmKit's rules. */
export type RootChange =
  | { readonly kind: "keep" }
  /** The root in force stays; a rotation away from it ends. Its key may come along. */
  | { readonly kind: "return"; readonly keyPem?: string }
  | { readonly kind: "generate" }
  | { readonly kind: "take"; readonly certPem: string; readonly keyPem?: string };

/**
 * Reads a change of the root out of a spec: a higher ForceRotate asks for a new one, a SigningCACert for
 * that one. Clients send back a spec in which neither is, and mean no change.
 * @throws FleetError invalid
 */
export function askedRootChange(root: RootCA, config: CAConfig): RootChange {
  const certPem = normalizePem(config.SigningCACert ?? "");
  const keyPem = config.SigningCAKey || undefined;
  if (certPem === "") {
    if (config.SigningCACert) {
      throw new FleetError("invalid", "the signing CA certificate cannot be read: expected PEM");
    }
    if (keyPem) {
      throw new FleetError(
        "invalid",
        "if a signing CA key is provided, the signing CA cert must also be provided (--ca-cert)",
      );
    }
    const forced = (config.ForceRotate ?? 0) > (root.LastForcedRotation ?? 0);
    return { kind: forced ? "generate" : "keep" };
  }
  const given = keyPem === undefined ? {} : { keyPem };
  if (certPem === normalizePem(root.CACert)) return { kind: "return", ...given };
  const { Rotation } = root;
  if (
    Rotation && certPem === normalizePem(Rotation.CACert) &&
    (keyPem ?? Rotation.CAKey) === Rotation.CAKey
  ) {
    return { kind: "keep" };
  }
  return { kind: "take", certPem, ...given };
}

/** A new root and what the old one says of it, made before the transaction because somebody else signs. */
export interface PreparedRoot {
  readonly certPem: string;
  readonly keyPem: string | undefined;
  readonly crossSignedPem: string;
}

/** Whether the old root's signature has to be asked for elsewhere. */
export function needsExternalCrossSignature(root: RootCA, change: RootChange): boolean {
  return (change.kind === "generate" || change.kind === "take") && root.CAKey === undefined;
}

/**
 * The trust root after a change that was asked for. Tokens stay as they are until a rotation ends.
 * @throws FleetError invalid, with what is missing
 */
export function changeRoot(options: {
  readonly root: RootCA;
  readonly config: CAConfig;
  readonly tools: RootTools;
  readonly nowMs: number;
  readonly prepared?: PreparedRoot;
}): RootCA {
  const { root, config, tools, nowMs, prepared } = options;
  const change = askedRootChange(root, config);
  const forced = config.ForceRotate === undefined ? {} : { LastForcedRotation: config.ForceRotate };
  const { Rotation: _, ...inForce } = root;
  switch (change.kind) {
    case "keep":
      return assertSigner({ ...root, ...forced }, config);
    case "return": {
      if (change.keyPem !== undefined) tools.checkRootCa(root.CACert, change.keyPem, nowMs);
      const key = change.keyPem ?? root.CAKey;
      return assertSigner({ ...inForce, ...forced, ...(key ? { CAKey: key } : {}) }, config);
    }
    default: {
      const fresh = prepared ??
        (change.kind === "generate"
          ? tools.createRootCa(nowMs)
          : { certPem: change.certPem, keyPem: change.keyPem });
      const facts = tools.checkRootCa(fresh.certPem, fresh.keyPem, nowMs);
      if (facts.keyDerBase64 === root.Issuer?.PublicKey) {
        throw new FleetError(
          "invalid",
          "the new root has the key of the one in force: a rotation needs another key",
        );
      }
      const next: RootCA = {
        ...inForce,
        ...forced,
        Rotation: {
          CACert: normalizePem(fresh.certPem),
          ...(fresh.keyPem === undefined ? {} : { CAKey: fresh.keyPem }),
          CrossSignedCACert: prepared?.crossSignedPem ?? crossSigned(root, fresh.certPem, tools),
          Issuer: issuerOf(facts),
          StartedAt: timeText(nowMs),
        },
      };
      return assertSigner(next, config);
    }
  }
}

function crossSigned(root: RootCA, newRootPem: string, tools: RootTools): string {
  if (root.CAKey === undefined) {
    throw new FleetError(
      "invalid",
      "the root in force is kept by an external CA, which has to sign the new root first",
    );
  }
  return tools.crossSign({ newRootPem, oldRootPem: root.CACert, oldKeyPem: root.CAKey });
}

/** Somebody must be able to sign: we, or an external CA of that root. */
function assertSigner(root: RootCA, config: CAConfig): RootCA {
  const { certPem, keyPem } = signingRoot(root);
  if (
    keyPem === undefined && externalCasFor(config.ExternalCAs, certPem, root.CACert).length === 0
  ) {
    throw new FleetError(
      "invalid",
      "nobody could sign certificates: the root's key is not in the cluster and no external CA is set for this root (--external-ca protocol=cfssl,url=…,cacert=FILE)",
    );
  }
  return root;
}
