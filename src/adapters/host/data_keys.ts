import { kindOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { newDataKey } from "../crypto/data_key.ts";
import type { RecordKeys } from "../crypto/record_keys.ts";
import { DATA_KEY, dataKeys, saveDataKeys } from "./data_directory.ts";
import type { StateFiles } from "./data_directory.ts";

/** A database whose records can be sealed anew. */
export interface Resealable {
  readonly closed: boolean;
  /** Seals every record under the current key. False when it was closed before the end. */
  reseal(): Promise<boolean>;
}

/**
 * The key under which this node's databases are encrypted, and its replacement while they are in use: the new
 * key is on the disk beside the old one before anything is sealed with it; every record is sealed anew in the
 * background; the old key goes when no record is left under it. A crash in between loses nothing: the next
 * start finds both keys and goes on.
 */
export class DataKeys {
  readonly #files: StateFiles;
  readonly #paths: readonly string[];
  readonly #exists: (path: string) => boolean;
  readonly #logger: Logger;
  readonly #open = new Map<string, Resealable>();
  #keys: RecordKeys | undefined;
  #working: Promise<void> = Promise.resolve();

  /** `paths` are the databases that may have records under the key. */
  constructor(options: {
    readonly files: StateFiles;
    readonly paths: readonly string[];
    readonly exists: (path: string) => boolean;
    readonly logger: Logger;
  }) {
    this.#files = options.files;
    this.#paths = options.paths;
    this.#exists = options.exists;
    this.#logger = options.logger;
  }

  /** The keys; made only where there is nothing yet that they would have to open. @throws FleetError corrupt */
  keys(): RecordKeys {
    const mayCreate = !this.#paths.some((path) => this.#exists(path));
    return this.#keys ??= dataKeys(this.#files, { mayCreate });
  }

  /**
   * For a node that is in no cluster any more: databases that no key opens, since it was sealed under an unlock
   * key that nobody has, is gone or damaged, would only keep the node from joining another one.
   */
  forgetUnreadable(remove: (path: string) => void): void {
    try {
      this.keys();
    } catch (error) {
      if (kindOf(error) !== "corrupt") return;
      for (const path of this.#paths) remove(path);
      this.#files.remove(DATA_KEY);
    }
  }

  /** A database was opened with {@link keys}; what an earlier run left unfinished goes on. */
  opened<T extends Resealable>(path: string, store: T): T {
    this.#open.set(path, store);
    if (this.#keys?.previous) this.#then(() => this.#finish());
    return store;
  }

  /** A new key takes the place of the old one. Resolves when no record is left under that, or at a failure. */
  rotate(): Promise<void> {
    return this.#then(async () => {
      const keys = this.keys();
      if (keys.previous && !await this.#finish()) return;
      const next = newDataKey();
      saveDataKeys(this.#files, next, keys.current);
      keys.rotate(next);
      await this.#finish();
    });
  }

  /** One piece of work after the other; failures are told, and both keys stay until the next try. */
  #then(work: () => Promise<unknown>): Promise<void> {
    this.#working = this.#working.then(work).then(() => {}, (error: unknown) => {
      this.#logger.log("error", `the data key was not replaced yet: ${messageOf(error)}`);
    });
    return this.#working;
  }

  async #finish(): Promise<boolean> {
    const keys = this.keys();
    if (!keys.previous) return true;
    for (const path of this.#paths) {
      if (!this.#exists(path)) continue;
      const store = this.#open.get(path);
      if (!store || store.closed || !await store.reseal()) return false;
    }
    saveDataKeys(this.#files, keys.current);
    keys.forgetPrevious();
    this.#logger.log("info", "data key replaced: every record is sealed under the new one");
    return true;
  }
}
