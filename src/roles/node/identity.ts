import { FleetError } from "../../base/errors.ts";
import type { Role } from "../../model/node.ts";
import type { Credentials, CredentialsSource, StateFiles, Trust } from "./ports.ts";

/** What a node must know of itself before it can reach anybody. */
export interface Identity {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly role: Role;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  /** Index of the entry that added this manager to the consensus group; its log is void before. */
  readonly joinedIndex?: number;
  /** Last known managers, newest first. */
  readonly managers: readonly { readonly nodeId: string; readonly addr: string }[];
}

const IDENTITY = "node.json";
/** The certificate that is being put in place, so that the key always has one, whenever the power goes. */
const NEXT_CERTIFICATE = "node.crt.next";
const FILES = { caPem: "ca.crt", certPem: "node.crt", keyPem: "node.key" } as const;

const WAY_OUT = "restore it, or run fleet leave --force and join again";

/**
 * The stored identity, or undefined on a node that belongs to no cluster, which has none of these files: one that
 * is missing alone was lost. A change of certificate that was cut off is finished.
 * @throws FleetError corrupt, forbidden (a key that is open to others)
 */
export function loadIdentity(
  files: StateFiles,
  trust: Pick<Trust, "belongTogether">,
): { identity: Identity; credentials: Credentials } | undefined {
  const text = files.read(IDENTITY);
  const found = Object.values(FILES).map((name) => ({ name, text: files.read(name) }));
  if ([text, ...found.map((file) => file.text)].every((file) => file === undefined)) {
    return undefined;
  }
  const missing = [{ name: IDENTITY, text }, ...found].find((file) => file.text === undefined);
  if (missing) {
    throw new FleetError("corrupt", `${missing.name} is missing in the data directory; ${WAY_OUT}`);
  }
  const identity = parseIdentity(text!);
  const [caPem, certPem, keyPem] = found.map((file) => file.text!) as [string, string, string];
  const next = files.read(NEXT_CERTIFICATE);
  if (next !== undefined) {
    if (belongTogether(trust, next, keyPem)) {
      const credentials = { caPem, certPem: next, keyPem };
      saveCredentials(files, credentials);
      return { identity, credentials };
    }
    files.remove(NEXT_CERTIFICATE);
  }
  if (!belongTogether(trust, certPem, keyPem)) {
    throw new FleetError(
      "corrupt",
      `${FILES.certPem} or ${FILES.keyPem} in the data directory is damaged: they do not belong together; ${WAY_OUT}`,
    );
  }
  return { identity, credentials: { caPem, certPem, keyPem } };
}

function belongTogether(
  trust: Pick<Trust, "belongTogether">,
  certPem: string,
  keyPem: string,
): boolean {
  try {
    return trust.belongTogether(certPem, keyPem);
  } catch {
    // One of them is no certificate, or no key.
    return false;
  }
}

function parseIdentity(text: string): Identity {
  try {
    const identity = JSON.parse(text) as Partial<Identity>;
    const { nodeId, clusterId, role, listenAddr, advertiseAddr, managers } = identity;
    const texts = [nodeId, clusterId, listenAddr, advertiseAddr];
    if (
      texts.every((value) => typeof value === "string" && value !== "") &&
      (role === "manager" || role === "worker") && Array.isArray(managers)
    ) return identity as Identity;
  } catch {
    // Told below.
  }
  throw new FleetError("corrupt", `${IDENTITY} in the data directory is damaged; ${WAY_OUT}`);
}

export function saveIdentity(files: StateFiles, identity: Identity): void {
  files.write(IDENTITY, JSON.stringify(identity, null, 2) + "\n");
}

/** Writes what differs, in an order in which the key has its certificate after a crash at any point. */
export function saveCredentials(files: StateFiles, credentials: Credentials): void {
  if (files.read(FILES.caPem) !== credentials.caPem) files.write(FILES.caPem, credentials.caPem);
  if (
    files.read(FILES.keyPem) !== credentials.keyPem ||
    files.read(FILES.certPem) !== credentials.certPem
  ) {
    files.write(NEXT_CERTIFICATE, credentials.certPem);
    files.write(FILES.keyPem, credentials.keyPem);
    files.write(FILES.certPem, credentials.certPem);
  }
  files.remove(NEXT_CERTIFICATE);
}

export function forgetIdentity(files: StateFiles): void {
  for (const name of [IDENTITY, NEXT_CERTIFICATE, ...Object.values(FILES)]) files.remove(name);
}

/** The credentials in force, swapped by renewal. */
export class HeldCredentials implements CredentialsSource {
  #current: Credentials;
  readonly #listeners = new Set<() => void>();

  constructor(credentials: Credentials) {
    this.#current = credentials;
  }

  current(): Credentials {
    return this.#current;
  }

  replace(credentials: Credentials): void {
    this.#current = credentials;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
