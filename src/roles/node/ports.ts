import type { Role } from "../../model/node.ts";
import type { Peer, RouteTable, RpcCaller, RpcDialer } from "../rpc.ts";

/**
 * The effects that the node needs, as interfaces; `main.ts` passes the adapters in. Shapes that come
 * from `src/adapters/rpc/types.ts` are the part used here.
 */

/** Small files of the data directory, written atomically with mode 0600. */
/** Whether the keys of this node are sealed, and under what. */
export interface KeyLock {
  readonly locked: boolean;
  /** @throws FleetError invalid for another key */
  unlock(unlockKey: Uint8Array): void;
  /** Seals under another key, or no more at all. False when that is how it was. */
  setUnlockKey(unlockKey: Uint8Array | undefined): boolean;
}

export interface StateFiles {
  read(name: string): string | undefined;
  write(name: string, text: string): void;
  remove(name: string): void;
}

export interface Credentials {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** Certificates: structures, keys and signatures. PEM texts in and out. */
export interface Trust {
  createRootCa(nowMs: number): { certPem: string; keyPem: string };
  /** @throws FleetError invalid with the rule that is broken */
  checkRootCa(certPem: string, keyPem: string | undefined, nowMs: number): {
    readonly subjectDerBase64: string;
    readonly keyDerBase64: string;
  };
  crossSign(options: { newRootPem: string; oldRootPem: string; oldKeyPem: string }): string;
  /** @throws FleetError unavailable unless the old root signed the new one's key and subject there */
  checkCrossSigned(answerPem: string, newRootPem: string, oldRootPem: string): void;
  createKeyAndCsr(): { keyPem: string; csrPem: string };
  /** A request for another certificate of a CA. */
  createCaCsr(caPem: string, caKeyPem: string): string;
  /** Names the key of a request, once it has proven that the sender holds it. @throws FleetError invalid */
  requestKeyId(csrPem: string): string;
  /** @throws FleetError invalid for a malformed CSR or one that its own key did not sign */
  issue(options: {
    caCertPem: string;
    caKeyPem: string;
    /** Goes along with the certificate. */
    chainPem?: string;
    csrPem: string;
    nodeId: string;
    role: Role;
    clusterId: string;
    nowMs: number;
    validityMs: number;
  }): {
    certPem: string;
    notBeforeMs: number;
    notAfterMs: number;
    keyId: string;
    issuerKeyDerBase64: string;
  };
  /**
   * @throws FleetError unauthorized unless `rootPem` signed it and it is in force, or has not ended longer
   *   ago than `graceMs`
   */
  verify(certPem: string, rootPem: string, nowMs: number, graceMs?: number): CertificateFacts;
  inspect(certPem: string): CertificateFacts;
  /** Digest of the root as join tokens pin it: 50 base-36 characters. */
  caDigest(caPem: string): string;
  /** Whether the key is the certificate's. */
  belongTogether(certPem: string, keyPem: string): boolean;
  /** A proof that the sender holds a key: base64. */
  signText(keyPem: string, text: string): string;
  /** Whether the key of that certificate signed `text`. */
  signedText(certPem: string, text: string, signature: string): boolean;
  /** Constant time. */
  equal(a: string, b: string): boolean;
}

export interface CertificateFacts {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly issuerDerBase64: string;
  readonly issuerKeyDerBase64: string;
  /** Names its public key. */
  readonly keyId: string;
}

/** Addresses of this machine. */
export interface Interfaces {
  /** Every address with the name of its interface, loopback included. */
  list(): readonly { readonly name: string; readonly address: string }[];
  /** The machine's own address on the way to `host:port`, which answers; undefined when that cannot be told. */
  towards(remote: string): Promise<string | undefined>;
}

/** Credentials that may change while connections live. */
export interface CredentialsSource {
  current(): Credentials;
  onChange(listener: () => void): () => void;
}

export interface NodeListener {
  readonly address: string;
  closeConnectionsOf(nodeId: string): void;
  close(): Promise<void>;
}

/** Traffic between nodes. */
export interface NodeNetwork {
  /** @throws FleetError conflict when the port is taken */
  listen(options: {
    address: string;
    credentials: CredentialsSource;
    clusterId: string;
    register: (table: RouteTable) => void;
    refuse: (peer: Peer) => string | undefined;
  }): Promise<NodeListener>;
  dialer(credentials: CredentialsSource, clusterId: string): RpcDialer;
  /** Without a certificate; `unverified` only to fetch the root. */
  dialAnonymously(address: string, caPem: string | "unverified"): Promise<RpcCaller>;
}

/** Files of backups: compressed, and sealed under a passphrase. */
export interface Archive {
  seal(content: Uint8Array, passphrase: string): Promise<Uint8Array>;
  /** @throws FleetError invalid (no backup), unauthorized (another passphrase, or damaged) */
  open(file: Uint8Array, passphrase: string): Promise<Uint8Array>;
}
