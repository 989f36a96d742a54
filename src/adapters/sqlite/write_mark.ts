/** Digits of a count, so that every write covers the one before. */
const DIGITS = 20;

/**
 * Remembers beside a database how many transactions it has confirmed. SQLite drops what follows a damaged
 * place of its write-ahead log, and a lost or restored file is simply older; both look like a whole
 * database. The mark tells them from one.
 *
 * It is written after the transaction and not synced: it may lag after a power loss, when it notices less, but
 * never runs ahead.
 */
export class WriteMark {
  readonly #file: Deno.FsFile;
  readonly #bytes = new Uint8Array(DIGITS + 1);

  private constructor(file: Deno.FsFile) {
    this.#file = file;
    this.#bytes[DIGITS] = 10;
  }

  /** The mark of the database at `path`. */
  static pathOf(path: string): string {
    return `${path}-mark`;
  }

  static open(path: string): WriteMark {
    const file = Deno.openSync(WriteMark.pathOf(path), {
      read: true,
      write: true,
      create: true,
      mode: 0o600,
    });
    return new WriteMark(file);
  }

  /** The last count, or undefined when there is none that can be trusted. */
  read(): number | undefined {
    const bytes = new Uint8Array(DIGITS + 2);
    this.#file.seekSync(0, Deno.SeekMode.Start);
    const length = this.#file.readSync(bytes) ?? 0;
    const text = new TextDecoder().decode(bytes.subarray(0, length));
    const count = /^\d{20}\n$/.test(text) ? Number(text) : undefined;
    return count !== undefined && Number.isSafeInteger(count) ? count : undefined;
  }

  /** Never throws: what is confirmed is confirmed, and a mark that lags only notices less. */
  write(count: number): void {
    let rest = count;
    for (let i = DIGITS - 1; i >= 0; i--) {
      this.#bytes[i] = 48 + rest % 10;
      rest = Math.floor(rest / 10);
    }
    try {
      this.#file.seekSync(0, Deno.SeekMode.Start);
      this.#file.writeSync(this.#bytes);
    } catch {
      // See above.
    }
  }

  close(): void {
    this.#file.close();
  }
}
