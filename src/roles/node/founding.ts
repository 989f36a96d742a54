import { formatUnlockKey, UNLOCK_KEY_BYTES } from "../../core/pki/unlock_key.ts";
import type { InitRequest } from "../../api/backend.ts";
import { parseCidr } from "../../base/cidr.ts";
import { FleetError } from "../../base/errors.ts";
import { NS_PER_MS } from "../../base/duration.ts";
import { newId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { Foundation } from "../../core/control/bootstrap.ts";
import { formatJoinToken } from "../../core/pki/join_token.ts";
import { specialPart } from "../../core/allocator/subnets.ts";
import { issuerOf } from "../../core/pki/roots.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import type { Identity } from "./identity.ts";
import type { Credentials, Trust } from "./ports.ts";

const DATA_PATH_PORTS = { from: 1024, to: 49_151 } as const;
/** A network of fewer than 8 addresses holds no service. */
const LONGEST_SUBNET = 29;

/**
 * What Docker checks of a new cluster's networks, in its words, and that containers can have the addresses.
 * @throws FleetError invalid
 */
export function checkNetworking(
  { DataPathPort: port, DefaultAddrPool, SubnetSize }: InitRequest,
): void {
  if (port && (port < DATA_PATH_PORTS.from || port > DATA_PATH_PORTS.to)) {
    throw new FleetError(
      "invalid",
      `Datapath port number is not in valid range (${DATA_PATH_PORTS.from}-${DATA_PATH_PORTS.to}) : ${port}`,
    );
  }
  if (!DefaultAddrPool?.length) return;
  const length = SubnetSize || CLUSTER_DEFAULTS.subnetSize;
  if (length > LONGEST_SUBNET) {
    throw new FleetError("invalid", `subnet size is out of range: ${length}`);
  }
  for (const text of DefaultAddrPool) {
    const pool = parseCidr(text);
    if (!pool) {
      throw new FleetError("invalid", `invalid base pool ${text}: invalid CIDR address: ${text}`);
    }
    const special = specialPart(pool);
    if (special !== undefined) {
      throw new FleetError(
        "invalid",
        `default address pool ${text} has addresses of ${special}, which no container can have`,
      );
    }
    if (pool.length > length) {
      throw new FleetError(
        "invalid",
        `invalid CIDR: "${text}". Subnet size is too small for pool: ${length}`,
      );
    }
  }
}

/** Makes all that a new cluster begins with: root, first certificate, ids, join tokens. Nothing is stored. */
export function foundCluster(options: {
  readonly request: InitRequest;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly availability: Foundation["availability"];
  readonly trust: Trust;
  readonly random: Random;
  readonly nowMs: number;
}): { identity: Identity; credentials: Credentials; foundation: Foundation } {
  const { request, listenAddr, advertiseAddr, trust, random, nowMs } = options;
  checkNetworking(request);
  const nodeId = newId(random);
  const clusterId = newId(random);
  const root = trust.createRootCa(nowMs);
  const { keyPem, csrPem } = trust.createKeyAndCsr();
  const expiry = request.Spec?.CAConfig?.NodeCertExpiry || CLUSTER_DEFAULTS.nodeCertExpiryNs;
  const issued = trust.issue({
    caCertPem: root.certPem,
    caKeyPem: root.keyPem,
    csrPem,
    nodeId,
    role: "manager",
    clusterId,
    nowMs,
    validityMs: expiry / NS_PER_MS,
  });
  const forced = request.Spec?.CAConfig?.ForceRotate;
  const digest = trust.caDigest(root.certPem);
  const token = () => formatJoinToken(digest, random.bytes(16));
  return {
    credentials: { caPem: root.certPem, certPem: issued.certPem, keyPem },
    identity: {
      nodeId,
      clusterId,
      role: "manager",
      listenAddr,
      advertiseAddr,
      dataPathAddr: options.dataPathAddr,
      managers: [{ nodeId, addr: advertiseAddr }],
    },
    foundation: {
      clusterId,
      nodeId,
      managerAddr: advertiseAddr,
      availability: options.availability,
      spec: request.AutoLockManagers
        ? { ...request.Spec, EncryptionConfig: { AutoLockManagers: true } }
        : request.Spec,
      rootCa: {
        CACert: root.certPem,
        CAKey: root.keyPem,
        JoinTokens: { Worker: token(), Manager: token() },
        Issuer: issuerOf(trust.checkRootCa(root.certPem, root.keyPem, nowMs)),
        ...(forced === undefined ? {} : { LastForcedRotation: forced }),
      },
      certificate: {
        notBeforeMs: issued.notBeforeMs,
        notAfterMs: issued.notAfterMs,
        keyId: issued.keyId,
        issuerKey: issued.issuerKeyDerBase64,
      },
      unlockKey: request.AutoLockManagers || request.Spec?.EncryptionConfig?.AutoLockManagers
        ? formatUnlockKey(random.bytes(UNLOCK_KEY_BYTES))
        : undefined,
      addrPool: request.DefaultAddrPool,
      subnetSize: request.SubnetSize || undefined,
      dataPathPort: request.DataPathPort || undefined,
    },
  };
}
