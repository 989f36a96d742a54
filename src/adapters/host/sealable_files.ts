import { FleetError } from "../../base/errors.ts";
import { open, seal } from "../crypto/sealing.ts";
import type { StateFiles } from "./data_directory.ts";

/** The files that open everything else; sealed together, so that a new key is one rename. */
const SEALABLE = ["data.key", "node.key"] as const;
const SEALED_FILE = "keys.sealed";
const FORMAT = "fleet-sealed-keys-1";
const CONTEXT = "the sealed keys";

type Keys = Readonly<Record<string, string>>;

/**
 * State files whose keys are worth nothing without the unlock key, once one is set. Without it the node is
 * locked: it cannot read its databases nor prove who it is.
 */
export class SealableFiles implements StateFiles {
  readonly #files: StateFiles;
  #unlockKey: Uint8Array | undefined;
  /** What the sealed file holds; undefined while it is locked, or where there is none. */
  #keys: Keys | undefined;

  constructor(files: StateFiles) {
    this.#files = files;
  }

  get locked(): boolean {
    return this.#keys === undefined && this.#files.read(SEALED_FILE) !== undefined;
  }

  /** @throws FleetError invalid for another key, corrupt for a damaged file */
  unlock(unlockKey: Uint8Array): void {
    const [format, body] = (this.#files.read(SEALED_FILE) ?? "").trim().split(" ");
    if (format !== FORMAT || body === undefined) {
      throw new FleetError("corrupt", `${SEALED_FILE} is damaged; restore it from a backup`);
    }
    let text: string;
    try {
      const bytes = open(unlockKey, Uint8Array.fromBase64(body), CONTEXT);
      text = new TextDecoder().decode(bytes);
    } catch (cause) {
      throw new FleetError("invalid", "swarm could not be unlocked: invalid key provided", {
        cause,
      });
    }
    this.#keys = JSON.parse(text) as Keys;
    this.#unlockKey = unlockKey;
    // Left by a crash between sealing and removing.
    for (const name of SEALABLE) this.#files.remove(name);
  }

  /** Seals under another key, or no more at all. Does nothing, and says so, when that is how it is. */
  setUnlockKey(unlockKey: Uint8Array | undefined): boolean {
    if (this.locked || sameBytes(unlockKey, this.#unlockKey)) return false;
    const keys = this.#keys ?? this.#clear();
    if (unlockKey) {
      this.#seal(unlockKey, keys);
      for (const name of SEALABLE) this.#files.remove(name);
      this.#keys = keys;
    } else {
      for (const [name, text] of Object.entries(keys)) this.#files.write(name, text);
      this.#files.remove(SEALED_FILE);
      this.#keys = undefined;
    }
    this.#unlockKey = unlockKey;
    return true;
  }

  read(name: string): string | undefined {
    if (!isSealable(name)) return this.#files.read(name);
    if (this.locked) {
      throw new FleetError("unavailable", `${name} is sealed: unlock this manager first`);
    }
    return this.#keys ? this.#keys[name] : this.#files.read(name);
  }

  write(name: string, text: string): void {
    if (!this.#keys || !this.#unlockKey || !isSealable(name)) return this.#files.write(name, text);
    const keys = { ...this.#keys, [name]: text };
    this.#seal(this.#unlockKey, keys);
    this.#keys = keys;
  }

  remove(name: string): void {
    this.#files.remove(name);
    // A node that forgets who it is has nothing left to lock.
    if (!isSealable(name)) return;
    this.#files.remove(SEALED_FILE);
    const { [name]: _, ...rest } = this.#keys ?? {};
    for (const [other, text] of Object.entries(rest)) this.#files.write(other, text);
    this.#keys = undefined;
    this.#unlockKey = undefined;
  }

  #clear(): Keys {
    const keys: Record<string, string> = {};
    for (const name of SEALABLE) {
      const text = this.#files.read(name);
      if (text !== undefined) keys[name] = text;
    }
    return keys;
  }

  #seal(unlockKey: Uint8Array, keys: Keys): void {
    const bytes = new TextEncoder().encode(JSON.stringify(keys));
    this.#files.write(SEALED_FILE, `${FORMAT} ${seal(unlockKey, bytes, CONTEXT).toBase64()}\n`);
  }
}

function isSealable(name: string): boolean {
  return (SEALABLE as readonly string[]).includes(name);
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
