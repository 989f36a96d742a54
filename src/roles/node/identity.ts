import { FleetError } from "../../base/errors.ts";
import type { Role } from "../../model/node.ts";
import type { Credentials, CredentialsSource, StateFiles } from "./ports.ts";

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
const FILES = { caPem: "ca.crt", certPem: "node.crt", keyPem: "node.key" } as const;

/** The stored identity, or undefined on a node that belongs to no cluster. @throws FleetError corrupt */
export function loadIdentity(
  files: StateFiles,
): { identity: Identity; credentials: Credentials } | undefined {
  const text = files.read(IDENTITY);
  if (text === undefined) return undefined;
  let identity: Identity;
  try {
    identity = JSON.parse(text) as Identity;
  } catch {
    throw new FleetError(
      "corrupt",
      `${IDENTITY} in the data directory is damaged; restore it, or run fleet leave --force and join again`,
    );
  }
  const [caPem, certPem, keyPem] = [FILES.caPem, FILES.certPem, FILES.keyPem].map((name) => {
    const found = files.read(name);
    if (found === undefined) {
      throw new FleetError(
        "corrupt",
        `${name} is missing in the data directory; restore it, or run fleet leave --force and join again`,
      );
    }
    return found;
  }) as [string, string, string];
  return { identity, credentials: { caPem, certPem, keyPem } };
}

export function saveIdentity(files: StateFiles, identity: Identity): void {
  files.write(IDENTITY, JSON.stringify(identity, null, 2) + "\n");
}

/** Key first: a certificate without its key would be useless after a crash in between. */
export function saveCredentials(files: StateFiles, credentials: Credentials): void {
  files.write(FILES.keyPem, credentials.keyPem);
  files.write(FILES.caPem, credentials.caPem);
  files.write(FILES.certPem, credentials.certPem);
}

export function forgetIdentity(files: StateFiles): void {
  for (const name of [IDENTITY, ...Object.values(FILES)]) files.remove(name);
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
